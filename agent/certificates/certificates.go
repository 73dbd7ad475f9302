// Package certificates makes the key pairs of a plan on the node and has them certified by the
// control plane, all in one call. A key leaves the node never, its pair only as a whole.
package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// API is what is needed of the node API.
type API interface {
	Certificates(context.Context, []protocol.CertificateRequest) ([]protocol.CertificateResponse, error)
}

// Maker keeps the key pairs in Dir, one directory each.
type Maker struct {
	Dir string
	API API
	Now func() time.Time
}

// Files of a pair's directory. The request says what the pair was made for.
const (
	keyFile     = "tls.key"
	certFile    = "tls.crt"
	requestFile = "request.json"
)

// Ensure makes all pairs that are missing, were made for another purpose or owner, or have less
// than a third of their life left. Retriable faults are retried until ctx ends; a refusal by
// the control plane is terminal.
func (m *Maker) Ensure(ctx context.Context, wanted []plan.Certificate) error {
	var missing []plan.Certificate
	for _, certificate := range wanted {
		if !m.good(certificate) {
			missing = append(missing, certificate)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	requests := make([]protocol.CertificateRequest, len(missing))
	keys := make([]pair, len(missing))
	for i, certificate := range missing {
		key, encoded, err := join.NewKey()
		if err != nil {
			return err
		}
		csr, err := join.Request(key, certificate.Name)
		if err != nil {
			return err
		}
		keys[i] = pair{certificate: certificate, key: key, keyPEM: encoded}
		requests[i] = protocol.CertificateRequest{Name: certificate.Name, Purpose: certificate.Purpose, CSR: csr}
	}
	chains, err := m.request(ctx, requests)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	for _, p := range keys {
		if err := m.store(p, chains[p.certificate.Name]); err != nil {
			return fmt.Errorf("certificate %s: %w", p.certificate.Name, err)
		}
	}
	return durable.SyncDir(m.Dir) // the names of new pairs
}

type pair struct {
	certificate plan.Certificate
	key         *ecdsa.PrivateKey
	keyPEM      []byte
}

func (m *Maker) request(ctx context.Context, requests []protocol.CertificateRequest) (map[string]string, error) {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 5 * time.Second}
	for {
		responses, err := m.API.Certificates(ctx, requests)
		if err == nil {
			chains := map[string]string{}
			for _, response := range responses {
				chains[response.Name] = response.Certificate
			}
			return chains, nil
		}
		if fault.IsTerminal(err) {
			return nil, err
		}
		if wait := waits.Wait(ctx); wait != nil {
			return nil, fault.Retriablef("%w (last: %w)", wait, err)
		}
	}
}

// good reports whether the stored pair serves the certificate wanted.
func (m *Maker) good(wanted plan.Certificate) bool {
	dir := filepath.Join(m.Dir, wanted.Name)
	raw, err := os.ReadFile(filepath.Join(dir, requestFile))
	if err != nil {
		return false
	}
	var made plan.Certificate
	if json.Unmarshal(raw, &made) != nil || made.Name != wanted.Name || made.Purpose != wanted.Purpose || made.Owner != wanted.Owner {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); err != nil {
		return false
	}
	chain, err := os.ReadFile(filepath.Join(dir, certFile))
	if err != nil {
		return false
	}
	leaf, err := parseLeaf(chain)
	if err != nil {
		return false
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return m.Now().Before(leaf.NotAfter.Add(-life / 3))
}

func parseLeaf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the chain has no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func (m *Maker) store(p pair, chain string) error {
	leaf, err := parseLeaf([]byte(chain))
	if err != nil {
		return fault.Terminalf("the control plane's answer: %w", err)
	}
	if !p.key.PublicKey.Equal(leaf.PublicKey) {
		return fault.Terminalf("the control plane certified another key than was asked for")
	}
	request, err := json.Marshal(p.certificate)
	if err != nil {
		return err
	}
	dir := filepath.Join(m.Dir, p.certificate.Name)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Without the request the pair does not count, so a crash in between makes a new pair.
	if err := os.Remove(filepath.Join(dir, requestFile)); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := durable.WriteOwned(filepath.Join(dir, keyFile), p.keyPEM, 0o400, p.certificate.Owner); err != nil {
		return err
	}
	if err := durable.WriteOwned(filepath.Join(dir, certFile), []byte(chain), 0o444, p.certificate.Owner); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, requestFile), request, 0o444)
}

// Sweep removes what interrupted writes left behind.
func (m *Maker) Sweep() error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("sweep the certificates: %w", err)
	}
	errs := []error{durable.Sweep(m.Dir)}
	for _, entry := range entries {
		if dir := filepath.Join(m.Dir, entry.Name()); entry.IsDir() && ours(dir) {
			errs = append(errs, durable.Sweep(dir))
		}
	}
	return errors.Join(errs...)
}

// ours reports whether a directory holds nothing but what this package writes.
func ours(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		switch entry.Name() {
		case keyFile, certFile, requestFile:
		default:
			if !durable.IsTemporary(entry.Name()) {
				return false
			}
		}
	}
	return true
}

// Collect removes the pairs whose names are not in keep. A directory with anything else in it
// than a pair is none of ours, and stays.
func (m *Maker) Collect(keep map[string]bool) error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return fmt.Errorf("collect certificates: %w", err)
	}
	for _, entry := range entries {
		if dir := filepath.Join(m.Dir, entry.Name()); !keep[entry.Name()] && ours(dir) {
			if err := durable.RemoveAll(dir); err != nil {
				return fmt.Errorf("collect certificate %s: %w", entry.Name(), err)
			}
		}
	}
	return nil
}
