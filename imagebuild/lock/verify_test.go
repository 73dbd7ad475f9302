package lock

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
)

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicPEM(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func signature(t testing.TB, k *ecdsa.PrivateKey, l *Lock) string {
	t.Helper()
	b, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	raw, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw) + "\n"
}

func TestVerify(t *testing.T) {
	key, other := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	trusted := "a comment\n" + publicPEM(t, &key.PublicKey)
	l := sample()
	good := signature(t, key, l)
	text, err := l.YAML("x")
	if err != nil {
		t.Fatal(err)
	}
	json, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(good))
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	broken := base64.StdEncoding.EncodeToString(raw)
	invalid := sample()
	invalid.Images[0].Index = ""
	invalidText, err := invalid.Canonical()
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name, lock, signature, keys string
		want                        string // of the error; empty: none
	}{
		{"the YAML rendering", string(text), good, trusted, ""},
		{"the canonical bytes", string(json), good, trusted, ""},
		{"one of two trusted keys", string(text), good, publicPEM(t, &other.PublicKey) + trusted, ""},
		{"one of two signatures", string(text), signature(t, other, l) + good, trusted, ""},
		{"another key", string(text), signature(t, other, l), trusted, "by none of the 1 trusted keys"},
		{"one bit of the signature changed", string(text), broken, trusted, "by none of"},
		{"one digest changed", strings.Replace(string(text), digestOf("3"), digestOf("a"), 1), good, trusted, "by none of"},
		{"an entry removed", string(text[:strings.Index(string(text), "  - name: fcos")]), good, trusted, "by none of"},
		{"no signature", string(text), "", trusted, "signature is empty"},
		{"a signature that is not base64", string(text), "no!", trusted, "not base64"},
		{"a lock that is not valid", string(invalidText), signature(t, key, invalid), trusted, "index"},
		{"a lock that cannot be read", "schema: [", good, trusted, "lock"},
		{"no key", string(text), good, "", "no PEM public key"},
		{"a private key", string(text), good, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})), "want \"PUBLIC KEY\""},
		{"a key on another curve", string(text), good, publicPEM(t, &newKey(t, elliptic.P384()).PublicKey), "not an ECDSA key on P-256"},
		{"an Ed25519 key", string(text), good, publicPEM(t, edPublic), "not an ECDSA key on P-256"},
		{"a damaged second key", string(text), good, trusted + "-----BEGIN PUBLIC KEY-----\n!!", "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Verify([]byte(tt.lock), []byte(tt.signature), []byte(tt.keys))
			if tt.want == "" {
				if err != nil || got == nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if got != nil {
				t.Error("a lock came with the error")
			}
			if !fault.IsTerminal(err) {
				t.Error("the error is not terminal")
			}
		})
	}
}
