package identity

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// The one project and user of a control plane without authentication.
const (
	LocalProject = "local"
	LocalUser    = "local"
)

// None trusts every local process: all callers are LocalUser in LocalProject, with the role
// admin. It refuses what a web page could send through a browser on this machine: requests of
// another origin, and requests for a host name that is not this machine's (DNS rebinding).
type None struct {
	origin *http.CrossOriginProtection
}

// NewNone returns the authenticator for loopback. Use CheckListen before listening with it.
func NewNone() *None { return &None{origin: http.NewCrossOriginProtection()} }

// Authenticate implements Authenticator.
func (n *None) Authenticate(r *http.Request) (Caller, error) {
	if !isLoopbackHost(r.Host) {
		return Caller{}, fmt.Errorf("%w: without Keystone only requests for a loopback address are served, not for %q", ErrForbidden, r.Host)
	}
	if err := n.origin.Check(r); err != nil {
		return Caller{}, fmt.Errorf("%w: without Keystone no requests of other origins are served", ErrForbidden)
	}
	return Caller{ProjectID: LocalProject, UserID: LocalUser, UserName: LocalUser, Roles: []string{"admin"}}, nil
}

// Challenge implements Authenticator; None never asks for credentials.
func (n *None) Challenge() string { return "" }

// CheckListen returns an error when the tenants' API would be served on address (host:port)
// without authentication to more than this machine.
func CheckListen(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", address, err)
	}
	if !isLoopbackHost(host) {
		return fmt.Errorf("refuse to serve the tenants' API on %q without Keystone: anybody who reaches it could do anything; listen on 127.0.0.1 or [::1]", address)
	}
	return nil
}

// isLoopbackHost reports whether host, with or without a port, is localhost or an address of
// the loopback interface.
func isLoopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
