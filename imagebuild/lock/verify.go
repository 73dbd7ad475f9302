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

	"slipway.build/slipway/agent/fault"
)

// Verify parses and validates a lock, checks its detached signature, and only then returns
// it. The signature is ECDSA over P-256 and the SHA-256 of the canonical bytes, ASN.1, in
// base64; further lines may hold further signatures, one of which must be by one of the
// trusted keys (PEM, "PUBLIC KEY", one or several). The YAML rendering and the canonical
// JSON of a lock have the same signature. Every refusal is a terminal error.
func Verify(lockBytes, signature, trustedPEM []byte) (*Lock, error) {
	keys, err := PublicKeys(trustedPEM)
	if err != nil {
		return nil, err
	}
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
	sum := sha256.Sum256(canonical)
	signatures, err := decodeSignatures(signature)
	if err != nil {
		return nil, err
	}
	for _, s := range signatures {
		for _, k := range keys {
			if ecdsa.VerifyASN1(k, sum[:], s) {
				return l, nil
			}
		}
	}
	return nil, fault.Terminalf("lock sha256:%s: the signature is by none of the %d trusted keys (the first is %s); sign it with a trusted key or install its public key",
		hex.EncodeToString(sum[:]), len(keys), KeyID(keys[0]))
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
