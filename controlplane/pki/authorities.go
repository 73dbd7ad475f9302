package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNoRecord is in the chain of Records.Record's error when there is no such record.
var ErrNoRecord = errors.New("no such authority")

// Record is an authority or a signing key as the store keeps it.
type Record struct {
	Scope       string // UUID of the cluster; empty for the control plane's own
	Purpose     Purpose
	Certificate string // PEM; empty for a bare signing key
	SealedKey   []byte
}

// Records is where authorities are kept. InsertRecord must leave the first record of a scope
// and purpose in place and report no error when there is one already.
type Records interface {
	Record(ctx context.Context, scope string, purpose Purpose) (Record, error)
	InsertRecord(ctx context.Context, record Record) error
}

// Sealer encrypts private keys for the store. The context names what is sealed; Open demands the
// same one.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Authorities makes, keeps and finds the authorities of clusters. It is safe for concurrent
// use. Opened authorities stay in memory: a private key is unsealed once.
type Authorities struct {
	records Records
	sealer  Sealer
	now     func() time.Time

	mu   sync.Mutex
	open map[recordID]*Authority
}

type recordID struct {
	scope   string
	purpose Purpose
}

// NewAuthorities returns the authorities in records, whose keys sealer opens.
func NewAuthorities(records Records, sealer Sealer, now func() time.Time) *Authorities {
	return &Authorities{records: records, sealer: sealer, now: now, open: map[recordID]*Authority{}}
}

// Ensure returns the authority of the cluster for the purpose and makes it when there is none.
// Of two that make it at the same time, both get the one that the store kept.
func (a *Authorities) Ensure(ctx context.Context, cluster, clusterName string, purpose Purpose) (*Authority, error) {
	found, err := a.Get(ctx, cluster, purpose)
	if !errors.Is(err, ErrNoRecord) {
		return found, err
	}
	made, err := newClusterAuthority(clusterName, purpose, a.now())
	if err != nil {
		return nil, err
	}
	return a.keep(ctx, recordID{cluster, purpose}, made)
}

// keep stores a new authority and returns the one that the store then has.
func (a *Authorities) keep(ctx context.Context, id recordID, made *Authority) (*Authority, error) {
	record, err := sealAuthority(a.sealer, id, made)
	if err != nil {
		return nil, err
	}
	if err := a.records.InsertRecord(ctx, record); err != nil {
		return nil, fmt.Errorf("store the %s authority: %w", id.purpose, err)
	}
	return a.Get(ctx, id.scope, id.purpose)
}

// Get returns the authority of the cluster for the purpose, or an error that is ErrNoRecord.
func (a *Authorities) Get(ctx context.Context, cluster string, purpose Purpose) (*Authority, error) {
	id := recordID{cluster, purpose}
	a.mu.Lock()
	defer a.mu.Unlock()
	if authority, ok := a.open[id]; ok {
		return authority, nil
	}
	record, err := a.records.Record(ctx, cluster, purpose)
	if err != nil {
		return nil, fmt.Errorf("read the %s authority: %w", purpose, err)
	}
	authority, err := openAuthority(a.sealer, record)
	if err != nil {
		return nil, err
	}
	a.open[id] = authority
	return authority, nil
}

// Forget drops what is in memory of a cluster that was deleted.
func (a *Authorities) Forget(cluster string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.open {
		if id.scope == cluster {
			delete(a.open, id)
		}
	}
}

func (id recordID) label() string { return "authority/" + id.scope + "/" + string(id.purpose) }

func sealAuthority(sealer Sealer, id recordID, authority *Authority) (Record, error) {
	der, err := x509.MarshalPKCS8PrivateKey(authority.key)
	if err != nil {
		return Record{}, fmt.Errorf("encode key of the %s authority: %w", id.purpose, err)
	}
	sealed, err := sealer.Seal(der, id.label())
	if err != nil {
		return Record{}, err
	}
	return Record{Scope: id.scope, Purpose: id.purpose, Certificate: authority.PEM(), SealedKey: sealed}, nil
}

func openAuthority(sealer Sealer, record Record) (*Authority, error) {
	key, err := openKey(sealer, record)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(record.Certificate))
	if block == nil {
		return nil, fmt.Errorf("the stored certificate of the %s authority is no PEM", record.Purpose)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the stored certificate of the %s authority: %w", record.Purpose, err)
	}
	return &Authority{Certificate: certificate, key: key}, nil
}

func openKey(sealer Sealer, record Record) (crypto.Signer, error) {
	der, err := sealer.Open(record.SealedKey, recordID{record.Scope, record.Purpose}.label())
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("the stored key of the %s authority: %w", record.Purpose, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the stored key of the %s authority cannot sign", record.Purpose)
	}
	return key, nil
}
