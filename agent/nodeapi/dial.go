package nodeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// handshakeTimeout bounds the making of a TLS connection.
const handshakeTimeout = 10 * time.Second

// dialer makes connections to the control plane.
type dialer struct {
	roots    *x509.CertPool
	identity func() (*tls.Certificate, error)
	now      func() time.Time
	floor    func() time.Time
}

// client returns a client with connections of its own.
func (d *dialer) client() *http.Client {
	sessions := tls.NewLRUClientSessionCache(2)
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.dial(ctx, network, address, sessions)
		},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   2 * time.Minute,
		// A dead peer under a long poll shows by a ping that stays unanswered.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}}
}

func (d *dialer) dial(ctx context.Context, network, address string, sessions tls.ClientSessionCache) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: d.roots, ServerName: host, NextProtos: []string{"h2", "http/1.1"},
		ClientSessionCache: sessions, Time: d.now,
	}
	if d.identity != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return d.identity() }
	}
	conn, err := handshake(ctx, network, address, config)
	at, behind := d.notYet(err)
	if !behind {
		return conn, err
	}
	config.Time = func() time.Time { return at }
	return handshake(ctx, network, address, config)
}

// notYet reports whether a handshake failed because this machine's clock, which is surely behind,
// is before the beginning of the peer's certificate; the time to judge it by is then the earliest
// one that both allow. Its end is judged as ever.
func (d *dialer) notYet(err error) (time.Time, bool) {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return time.Time{}, false
	}
	now, floor := d.now(), d.floor()
	if !now.Before(floor) || !now.Before(invalid.Cert.NotBefore) {
		return time.Time{}, false
	}
	if invalid.Cert.NotBefore.After(floor) {
		return invalid.Cert.NotBefore, true
	}
	return floor, true
}

func handshake(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return conn, nil
}
