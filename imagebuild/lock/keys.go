package lock

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"

	"slipway.build/slipway/agent/fault"
)

// KeysSchema is the only schema identifier of key statements that this package accepts.
const KeysSchema = "slipway.build/lock-keys/v1"

// maxKeys bounds the keys of a statement, and maxKeysSize its bytes.
const (
	maxKeys     = 16
	maxKeysSize = 64 << 10
)

// KeyStatement says which keys count for which locks, beside what is baked into the OS layer: it
// adds keys, and it bounds keys by lock numbers, which is how a key is rotated with overlap and how
// it is revoked. A statement replaces the one before it whole. Canonical bytes are its JSON form
// in the order of the fields.
type KeyStatement struct {
	Schema string `json:"schema"`
	Number int64  `json:"number"` // grows with each statement
	Issued string `json:"issued"` // RFC 3339, UTC, whole seconds
	Keys   []Key  `json:"keys"`
}

// Key is one key of a statement.
type Key struct {
	ID string `json:"id"` // as KeyID returns it
	// Public is the key in PEM; empty for a key that is baked in and only bounded here.
	Public string `json:"public,omitempty"`
	// From and Until are the first and the last lock number that its signature counts for; 0 sets no
	// bound. A key with Until signs no further statements.
	From  int64 `json:"from,omitempty"`
	Until int64 `json:"until,omitempty"`
}

// Canonical returns the bytes that are signed.
func (s *KeyStatement) Canonical() ([]byte, error) { return marshal(s) }

// Validate checks everything that can be known from the statement alone.
func (s *KeyStatement) Validate() error {
	c := newChecker()
	if s.Schema != KeysSchema {
		c.bad("schema", "%q is not %q; this program reads no other", s.Schema, KeysSchema)
	}
	if s.Number < 1 {
		c.bad("number", "%d is not a number above zero", s.Number)
	}
	if _, err := parseTime(s.Issued); err != nil {
		c.bad("issued", "%w", err)
	}
	if len(s.Keys) > maxKeys {
		c.bad("keys", "%d are more than the %d allowed", len(s.Keys), maxKeys)
	}
	seen := map[string]bool{}
	for i, k := range s.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		c.digest(path+".id", k.ID)
		if seen[k.ID] {
			c.bad(path+".id", "%s is there twice", k.ID)
		}
		seen[k.ID] = true
		if k.Public != "" {
			if keys, err := PublicKeys([]byte(k.Public)); err != nil || len(keys) != 1 || KeyID(keys[0]) != k.ID {
				c.bad(path+".public", "is not the one key of that id")
			}
		}
		if k.From < 0 || k.Until < 0 || (k.Until > 0 && k.Until < k.From) {
			c.bad(path, "from %d until %d is no range of lock numbers", k.From, k.Until)
		}
	}
	if err := c.result(); err != nil {
		return fault.Terminalf("key statement: %w", err)
	}
	return nil
}

// ParseKeys reads a key statement in canonical form and validates it; it checks no signature. Every
// error is terminal.
func ParseKeys(data []byte) (*KeyStatement, error) {
	if len(data) > maxKeysSize {
		return nil, fault.Terminalf("key statement: %d bytes are more than the %d allowed", len(data), maxKeysSize)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	s := new(KeyStatement)
	if err := dec.Decode(s); err != nil {
		return nil, fault.Terminalf("key statement: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	canonical, err := s.Canonical()
	if err != nil || !bytes.Equal(canonical, data) {
		return nil, fault.Terminalf("key statement %d: not in canonical form", s.Number)
	}
	return s, nil
}

// Trust is which keys count for which locks: the baked ones, as the statement in force adds to them
// and bounds them.
type Trust struct {
	keys      []boundKey
	statement int64 // number of the statement in force, 0 for none
}

type boundKey struct {
	public      *ecdsa.PublicKey
	id          string
	from, until int64
}

// NewTrust returns the trust in the baked keys (PEM) under a statement, which was verified when it
// was accepted and may be nil.
func NewTrust(bakedPEM []byte, s *KeyStatement) (*Trust, error) {
	baked, err := PublicKeys(bakedPEM)
	if err != nil {
		return nil, err
	}
	t := &Trust{}
	for _, public := range baked {
		t.keys = append(t.keys, boundKey{public: public, id: KeyID(public)})
	}
	if s == nil {
		return t, nil
	}
	t.statement = s.Number
	for _, k := range s.Keys {
		known := false
		for i := range t.keys {
			if t.keys[i].id == k.ID {
				t.keys[i].from, t.keys[i].until, known = k.From, k.Until, true
			}
		}
		if known || k.Public == "" {
			continue // bounds of a key that this OS layer does not have bound nothing
		}
		added, err := PublicKeys([]byte(k.Public))
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, boundKey{public: added[0], id: k.ID, from: k.From, until: k.Until})
	}
	return t, nil
}

// Next verifies a further statement: it must have a higher number than the one in force and be
// signed by a key that is not bounded by Until. Every refusal is terminal.
func (t *Trust) Next(statement, signature []byte) (*KeyStatement, error) {
	s, err := ParseKeys(statement)
	if err != nil {
		return nil, err
	}
	if s.Number <= t.statement {
		return nil, fault.Terminalf("key statement %d is not newer: expected a number above %d, found %d", s.Number, t.statement, s.Number)
	}
	signers, err := t.signers(statement, signature)
	if err != nil {
		return nil, fault.Terminalf("key statement %d: %w", s.Number, err)
	}
	for _, k := range signers {
		if k.until == 0 {
			return s, nil
		}
	}
	if len(signers) > 0 {
		return nil, fault.Terminalf("key statement %d is signed by %s, which counts for locks until number %d only and signs no statements", s.Number, signers[0].id, signers[0].until)
	}
	return nil, fault.Terminalf("key statement %d: the signature is by none of the %d trusted keys (%s)", s.Number, len(t.keys), t.names())
}
