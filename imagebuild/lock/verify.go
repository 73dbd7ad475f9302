package lock

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/fault"
)

// Verify parses and validates a lock, checks its detached signature, and only then returns
// it. The signature is ECDSA over P-256 and the SHA-256 of the canonical bytes, ASN.1, in
// base64; further lines may hold further signatures, one of which must be by one of the
// trusted keys (PEM, "PUBLIC KEY", one or several). The YAML rendering and the canonical
// JSON of a lock have the same signature. Every refusal is a terminal error.
func Verify(lockBytes, signature, trustedPEM []byte) (*Lock, error) {
	t, err := NewTrust(trustedPEM, nil)
	if err != nil {
		return nil, err
	}
	return t.Verify(lockBytes, signature)
}

// Verify is the function of the same name for keys some of which count for a range of locks only.
func (t *Trust) Verify(lockBytes, signature []byte) (*Lock, error) {
	l, err := Parse("lock", lockBytes)
	if err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	canonical, err := l.Canonical()
	if err != nil {
		return nil, fault.Terminalf("%w", err)
	}
	signers, err := t.signers(canonical, signature)
	if err != nil {
		return nil, err
	}
	for _, k := range signers {
		if l.Number >= k.from && (k.until == 0 || l.Number <= k.until) {
			return l, nil
		}
	}
	sum := sha256.Sum256(canonical)
	if len(signers) > 0 {
		k := signers[0]
		return nil, fault.Terminalf("lock sha256:%s: signed by %s, which counts for lock numbers from %d until %s; this is number %d",
			hex.EncodeToString(sum[:]), k.id, max(k.from, 1), k.last(), l.Number)
	}
	return nil, fault.Terminalf("lock sha256:%s: the signature is by none of the %d trusted keys (%s); sign it with a trusted key or install its public key",
		hex.EncodeToString(sum[:]), len(t.keys), t.names())
}

// signers returns those keys that have made one of the signatures over data.
func (t *Trust) signers(data, signature []byte) ([]boundKey, error) {
	signatures, err := decodeSignatures(signature)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	var found []boundKey
	for _, s := range signatures {
		for _, k := range t.keys {
			if ecdsa.VerifyASN1(k.public, sum[:], s) {
				found = append(found, k)
			}
		}
	}
	return found, nil
}

// last is the last lock number that the key counts for, in words.
func (k boundKey) last() string {
	if k.until == 0 {
		return "any"
	}
	return strconv.FormatInt(k.until, 10)
}

// names lists the keys for messages.
func (t *Trust) names() string {
	var ids []string
	for _, k := range t.keys {
		ids = append(ids, k.id)
	}
	return strings.Join(ids, ", ")
}

func decodeSignatures(text []byte) ([][]byte, error) {
	var all [][]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		s, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil {
			return nil, fault.Terminalf("lock signature is not base64: %w", err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, fault.Terminalf("lock signature is empty")
	}
	return all, nil
}

// PublicKeys reads trusted keys from PEM. It is a terminal error if there is none, or if one
// is anything but an ECDSA key on P-256.
func PublicKeys(data []byte) ([]*ecdsa.PublicKey, error) {
	var keys []*ecdsa.PublicKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if block.Type != "PUBLIC KEY" {
			return nil, fault.Terminalf("trusted keys: PEM block %d is %q, want \"PUBLIC KEY\"", len(keys)+1, block.Type)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fault.Terminalf("trusted keys: PEM block %d: %w", len(keys)+1, err)
		}
		key, ok := parsed.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() {
			return nil, fault.Terminalf("trusted keys: PEM block %d is not an ECDSA key on P-256", len(keys)+1)
		}
		keys = append(keys, key)
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, fault.Terminalf("trusted keys: the PEM block after key %d is damaged", len(keys))
	}
	if len(keys) == 0 {
		return nil, fault.Terminalf("trusted keys: no PEM public key found")
	}
	return keys, nil
}

// KeyID returns the name of a key in messages: sha256: and the hex of its PKIX encoding's sum.
func KeyID(key *ecdsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// EncodePublicKey returns a key as PublicKeys reads it.
func EncodePublicKey(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
