package standalone

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// Local answers for the control plane.
type Local struct {
	Keys    *Keys
	Secrets string // directory of the values of secrets
	Log     *slog.Logger
}

// Join gives the node a certificate that nobody but itself has any use for, and the keys of the
// file. There is no token: who can write the file is who decides.
func (l *Local) Join(_ context.Context, request protocol.JoinRequest) (*protocol.JoinResponse, error) {
	certificate, err := certify(request.Node, request.CSR)
	if err != nil {
		return nil, err
	}
	return &protocol.JoinResponse{Certificate: certificate, PlanKeys: l.Keys.List}, nil
}

// Renew gives the node a certificate anew.
func (l *Local) Renew(_ context.Context, request protocol.RenewRequest) (*protocol.RenewResponse, error) {
	certificate, err := certify(request.Node, request.CSR)
	if err != nil {
		return nil, err
	}
	return &protocol.RenewResponse{Certificate: certificate}, nil
}

// lifetime of the certificate: it proves nothing to anybody, so it never has to be renewed.
const lifetime = 100 * 365 * 24 * time.Hour

// certify signs the request's key with one that is forgotten at once.
func certify(node, csr string) (string, error) {
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		return "", fault.Terminalf("identity of node %s: the request is no PEM", node)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return "", fault.Terminalf("identity of node %s: %w", node, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fault.Retriablef("identity of node %s: %w", node, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", fault.Retriablef("identity of node %s: %w", node, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "node:" + node},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "nobody"}}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, request.PublicKey, key)
	if err != nil {
		return "", fault.Terminalf("identity of node %s: %w", node, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// Certificates refuses: there is no authority here.
func (l *Local) Certificates(_ context.Context, requests []protocol.CertificateRequest) ([]protocol.CertificateResponse, error) {
	var names []string
	for _, request := range requests {
		names = append(names, request.Name)
	}
	return nil, fault.Terminalf("a node without a control plane has nobody to certify %s: its plan may have no certificates", strings.Join(names, ", "))
}

// Secret reads a value that was put on the node, as Secrets/<name>@<version>.
func (l *Local) Secret(_ context.Context, name, version string) ([]byte, error) {
	path := filepath.Join(l.Secrets, name+"@"+version)
	value, err := readOwn(path, maxSecret)
	if err != nil {
		return nil, fault.Terminalf("a node without a control plane has its secrets in files: %w", err)
	}
	return value, nil
}

// maxSecret bounds a secret in bytes, as the node API does.
const maxSecret = 1 << 20

// Archive refuses: there is nobody to send it to.
func (l *Local) Archive(context.Context, string, int64, io.Reader) error {
	return fault.Terminalf("a node without a control plane has nobody to send an archive to: `slipway-agent bundle` writes one here")
}

// Signals accepts signals: the log, which is all that is told here, has them already.
func (l *Local) Signals(_ context.Context, signals []protocol.Signal) error {
	for _, s := range signals {
		l.Log.Debug("accepted", "phase", s.Phase, "deployment", s.Deployment)
	}
	return nil
}

// Plan waits: plans come from a file.
func (l *Local) Plan(ctx context.Context, _ string, _ time.Duration) (*protocol.Delivery, string, error) {
	<-ctx.Done()
	return nil, "", context.Cause(ctx)
}

// Clock tells that there is no other clock to compare with.
func (l *Local) Clock() (ahead, within time.Duration, at time.Time) { return 0, 0, time.Time{} }

// Reconnect does nothing: there are no connections.
func (l *Local) Reconnect() {}

// Close does nothing.
func (l *Local) Close() {}
