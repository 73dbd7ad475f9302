package nodeapi

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"slipway.build/slipway/controlplane/pki"
)

// TLSConfig returns what the node API is served with: TLS 1.3 only, HTTP/2, a certificate of
// the system authority for the hosts, and client certificates verified against it when given.
func TLSConfig(system *pki.SystemPKI, hosts ...string) (*tls.Config, error) {
	certificate, err := system.ServerCertificates(hosts...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2"},
		GetCertificate: certificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      system.Pool(),
		Time:           system.Now,
	}, nil
}

// HTTPServer returns a server for s with the deadlines that suit it. Call ServeTLS with a
// listener and no files. Its shutdown ends the long polls.
func (s *Server) HTTPServer(config *tls.Config) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Protocols:         protocols,
		Handler:           s,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      maxWait + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.Drain)
	return server
}
