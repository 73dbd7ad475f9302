// Package certificates makes the key pairs of a plan on the node and has them certified by the
// control plane, all in one call, and again at two thirds of their lives. A key leaves the node
// never, and stays the same for as long as its pair is wanted: a renewal replaces the certificate
// alone, so no reader ever meets a mixed pair.
package certificates

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// API is what is needed of the node API.
type API interface {
	Certificates(context.Context, []protocol.CertificateRequest) ([]protocol.CertificateResponse, error)
}

// Maker keeps the key pairs in Dir, one directory each. It is safe for concurrent use.
type Maker struct {
	Dir string
	API API
	Now func() time.Time
	// Owe journals restarts before a certificate that calls for them is replaced; nil when nobody
	// does them.
	Owe func([]journal.Owed) error

	mu sync.Mutex // held while a pair is written
}

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
	return m.Renew(ctx, missing)
}

// Renew has the pairs certified anew, however much of their life is left.
func (m *Maker) Renew(ctx context.Context, wanted []plan.Certificate) error {
	if len(wanted) == 0 {
		return nil
	}
	requests := make([]protocol.CertificateRequest, len(wanted))
	pairs := make([]pair, len(wanted))
	for i, certificate := range wanted {
		p, err := m.begin(certificate)
		if err != nil {
			return fmt.Errorf("certificate %s: %w", certificate.Name, err)
		}
		csr, err := join.Request(p.key, certificate.Name)
		if err != nil {
			return err
		}
		pairs[i] = p
		requests[i] = protocol.CertificateRequest{Name: certificate.Name, Purpose: certificate.Purpose, CSR: csr}
	}
	chains, err := m.request(ctx, requests)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	for _, p := range pairs {
		if err := m.store(p, chains[p.wanted.Name]); err != nil {
			return fmt.Errorf("certificate %s: %w", p.wanted.Name, err)
		}
	}
	return durable.SyncDir(m.Dir) // the names of new pairs
}

func (m *Maker) request(ctx context.Context, requests []protocol.CertificateRequest) (map[string]string, error) {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 5 * time.Second}
	chains := map[string]string{}
	err := waits.Retry(ctx, func(ctx context.Context) error {
		responses, err := m.API.Certificates(ctx, requests)
		for _, response := range responses {
			chains[response.Name] = response.Certificate
		}
		return err
	})
	return chains, err
}

// NextRenewal returns when the first of the pairs is to be renewed: now for one that is missing or
// was made for something else, the zero time when none is wanted.
func (m *Maker) NextRenewal(wanted []plan.Certificate) time.Time {
	var next time.Time
	for _, certificate := range wanted {
		at := m.Now()
		if leaf, err := readLeaf(filepath.Join(m.Dir, certificate.Name)); err == nil && (m.good(certificate) || !m.Now().Before(Due(leaf))) {
			at = RenewAt(leaf)
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// Sweep removes what interrupted writes left behind.
func (m *Maker) Sweep() error {
	m.mu.Lock()
	defer m.mu.Unlock()
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
