// Package probe asks a component's local endpoint whether it is well. It is written for a
// supervisor that lives beside every component: one connection that is kept, no goroutine, and
// nothing of net/http.
package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway.build/slipway/agent/supervision"
)

// Defaults of supervision.Probe.
const (
	DefaultTimeout  = time.Second
	DefaultInterval = 10 * time.Second
	DefaultFailures = 3
)

// grpcUnix is the scheme of gRPC's health protocol over a unix socket.
const grpcUnix = "grpc+unix"

// Prober asks one endpoint again and again. It is for one goroutine.
type Prober struct {
	probe supervision.Probe
	url   *url.URL

	conn   net.Conn
	reader *bufio.Reader
	tls    *tls.Config
}

// New prepares a prober; nothing is read or dialled yet.
func New(probe supervision.Probe) (*Prober, error) {
	u, err := url.Parse(probe.URL)
	if err != nil {
		return nil, fmt.Errorf("probe %q: %w", probe.URL, err)
	}
	switch u.Scheme {
	case "http", "https", "tcp", "unix", grpcUnix:
		return &Prober{probe: probe, url: u}, nil
	default:
		return nil, fmt.Errorf("probe %q: scheme must be http, https, tcp, unix or grpc+unix", probe.URL)
	}
}

// Ask returns nil when the endpoint says that it is well: a connection for tcp and unix, a
// status from 200 to 399 for http and https, SERVING for grpc+unix.
func (p *Prober) Ask(ctx context.Context) error {
	deadline := time.Now().Add(p.probe.Timeout.Or(DefaultTimeout))
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	switch p.url.Scheme {
	case "tcp", "unix", grpcUnix:
		conn, err := p.dial(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if p.url.Scheme == grpcUnix {
			return askGRPC(ctx, conn, deadline)
		}
		return nil
	}
	kept := p.conn != nil
	err := p.request(ctx, deadline)
	if err != nil && kept && p.conn == nil {
		// A kept connection may have been closed since; that says nothing about the endpoint.
		err = p.request(ctx, deadline)
	}
	return err
}

// Close drops the kept connection.
func (p *Prober) Close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn, p.reader = nil, nil
	}
}

func (p *Prober) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	if p.url.Scheme == "unix" || p.url.Scheme == grpcUnix {
		return dialer.DialContext(ctx, "unix", p.url.Path)
	}
	return dialer.DialContext(ctx, "tcp", p.url.Host)
}

func (p *Prober) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	if p.url.Scheme == "https" {
		config, err := p.tlsConfig()
		if err != nil {
			_ = conn.Close()
			return err
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return err
		}
		conn = secure
	}
	p.conn, p.reader = conn, bufio.NewReaderSize(conn, 2<<10)
	return nil
}

// tlsConfig reads the authority once; the client's pair is read at each handshake, so that a
// renewed one is used.
func (p *Prober) tlsConfig() (*tls.Config, error) {
	if p.tls != nil {
		return p.tls, nil
	}
	pem, err := os.ReadFile(p.probe.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no PEM certificate", p.probe.CA)
	}
	config := &tls.Config{RootCAs: roots, ServerName: p.url.Hostname(), MinVersion: tls.VersionTLS12}
	if dir := p.probe.Certificate; dir != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
			return &pair, err
		}
	}
	p.tls = config
	return config, nil
}

func (p *Prober) request(ctx context.Context, deadline time.Time) (err error) {
	if err := p.connect(ctx); err != nil {
		return err
	}
	whole := false
	defer func() {
		if !whole {
			p.Close()
		}
	}()
	if err := p.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: slipway-agent\r\n\r\n", p.url.RequestURI(), p.url.Host); err != nil {
		return err
	}
	got, err := readAnswer(p.reader)
	if err != nil {
		return err
	}
	whole = got.whole
	if got.code < 200 || got.code > 399 {
		return fmt.Errorf("%s answered %s: %s", p.probe.URL, clip(got.status), firstLine(got.body))
	}
	return nil
}

func firstLine(text string) string {
	const shown = 200
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > shown {
		line = line[:shown]
	}
	return line
}
