//go:build heat

package heat

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// vouchAddress is what Heat's [ec2authtoken] names in place of Keystone.
const vouchAddress = "127.0.0.1:5001"

// vouch passes Heat's questions about CFN signatures on to Keystone with a token of Heat's own
// user. Since the fix of its bug 2119646 Keystone answers them only to a service that has logged in; Debian 12
// has the new Keystone and a Heat that does not log in yet, so that its CFN API refuses everybody.
func vouch(ctx context.Context) (stop func(), err error) {
	service, err := logIn(ctx, "heat", "heat", "service")
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(keystoneURL)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", vouchAddress)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, to.Host
		r.Out.Header.Set("X-Auth-Token", service.token)
	}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until it is closed
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
