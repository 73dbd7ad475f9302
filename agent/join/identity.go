package join

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// Identity is who this node is to the control plane: its key, its certificate and the keys that it
// believes plans from. It is read from disk once and may change while it is in use.
type Identity struct {
	dir string

	mu     sync.Mutex
	joined joined
	cert   *tls.Certificate
}

// joined is what identity.json holds.
type joined struct {
	Node         string                `json:"node"`
	ControlPlane string                `json:"controlPlane"`
	Response     protocol.JoinResponse `json:"response"`
	// Dropped are plan keys that are not believed any more, the latest last. They still tell that a
	// plan which was accepted before is the one that was signed.
	Dropped []protocol.PlanKey `json:"dropped,omitempty"`
}

const (
	keyFile    = "key.pem"
	joinedFile = "identity.json"
)

// Node returns the node's UUID.
func (i *Identity) Node() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.joined.Node
}

// PlanKeys returns the keys that plans may be signed with.
func (i *Identity) PlanKeys() []protocol.PlanKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.joined.Response.PlanKeys
}

// EveryPlanKey returns PlanKeys and those that were dropped, to verify again what this node has
// accepted already; nothing new may be believed by it.
func (i *Identity) EveryPlanKey() []protocol.PlanKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(i.joined.Response.PlanKeys, i.joined.Dropped)
}

// Certificate returns the node's certificate with its key, for TLS.
func (i *Identity) Certificate() (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cert, nil
}

// Leaf returns the node's certificate.
func (i *Identity) Leaf() *x509.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cert.Leaf
}

// key returns the node's key.
func (i *Identity) key() *ecdsa.PrivateKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cert.PrivateKey.(*ecdsa.PrivateKey) // pairOf has looked
}

// Load reads the identity kept in dir; fs.ErrNotExist when the node has not joined yet.
func Load(dir string) (*Identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, joinedFile))
	if err != nil {
		return nil, fmt.Errorf("load the node's identity: %w", err)
	}
	identity := &Identity{dir: dir}
	if err := json.Unmarshal(raw, &identity.joined); err != nil {
		return nil, fmt.Errorf("load the node's identity: %s: %w", joinedFile, err)
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("load the node's identity: %w", err)
	}
	if identity.cert, err = pairOf(identity.joined.Response.Certificate, key); err != nil {
		return nil, fmt.Errorf("load the node's identity: %w", err)
	}
	return identity, nil
}

// change lets edit alter a copy of what is kept, makes it durable, and only then uses it.
func (i *Identity) change(edit func(*joined)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.joined
	edit(&next)
	key, err := os.ReadFile(filepath.Join(i.dir, keyFile))
	if err != nil {
		return fmt.Errorf("keep the node's identity: %w", err)
	}
	pair, err := pairOf(next.Response.Certificate, key)
	if err != nil {
		return err
	}
	if err := write(i.dir, next); err != nil {
		return err
	}
	i.joined, i.cert = next, pair
	return nil
}

func write(dir string, kept joined) error {
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, joinedFile), raw, 0o600); err != nil {
		return fmt.Errorf("keep the node's identity: %w", err)
	}
	return nil
}

// pairOf joins a certificate with the node's key, and refuses one for another key: kept, it would
// lock the node out.
func pairOf(certificate string, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(certificate), key)
	if err != nil {
		return nil, fault.Terminalf("the node's certificate and key: %w", err)
	}
	if _, ok := pair.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return nil, fault.Terminalf("the node's key is a %T, not an ECDSA key", pair.PrivateKey)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fault.Terminalf("the node's certificate: %w", err)
		}
	}
	return &pair, nil
}
