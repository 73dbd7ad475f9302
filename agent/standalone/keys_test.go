package standalone_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/standalone"
)

func publicPEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func p256(t *testing.T) string { return curve(t, elliptic.P256()) }

func curve(t *testing.T, c elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicPEM(t, &key.PublicKey)
}

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan-keys.pem")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeysAreReadAndTheirNameChangesWithThem(t *testing.T) {
	path := write(t, p256(t)+"\n"+p256(t), 0o644)
	keys, err := standalone.ReadKeys(path)
	if err != nil || len(keys.List) != 2 || keys.List[0].ID == keys.List[1].ID || !standalone.Is(keys.Name) {
		t.Fatalf("%+v (%v)", keys, err)
	}
	if again, err := standalone.ReadKeys(path); err != nil || again.Name != keys.Name {
		t.Errorf("read again: %v (%v)", again, err)
	}
	if err := os.WriteFile(path, []byte(p256(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	if other, err := standalone.ReadKeys(path); err != nil || other.Name == keys.Name {
		t.Errorf("other keys: %v (%v)", other, err)
	}
	if standalone.Is("https://10.0.0.1:9512") {
		t.Error("a control plane is taken for a file")
	}
}

func TestAKeysFileThatOthersCouldHaveMadeIsRefused(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "plan-keys.pem")
	if err := os.Symlink(write(t, p256(t), 0o644), link); err != nil {
		t.Fatal(err)
	}
	open := write(t, p256(t), 0o644)
	if err := os.Chmod(filepath.Dir(open), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, says string }{
		"not there":                {filepath.Join(t.TempDir(), "plan-keys.pem"), "no such file"},
		"writable by its group":    {write(t, p256(t), 0o664), "may be written by others"},
		"writable by all":          {write(t, p256(t), 0o646), "may be written by others"},
		"in a directory for all":   {open, "may be written by others"},
		"a link":                   {link, "too many levels"},
		"a directory":              {t.TempDir(), "no regular file"},
		"empty":                    {write(t, "", 0o644), "has no key"},
		"text":                     {write(t, "ssh-ed25519 AAAA\n", 0o644), "no PEM"},
		"a key and text":           {write(t, p256(t)+"and more", 0o644), "no PEM"},
		"a key of another kind":    {write(t, publicPEM(t, &rsaKey.PublicKey), 0o644), "P-256"},
		"a key of another curve":   {write(t, curve(t, elliptic.P384()), 0o644), "P-256"},
		"a certificate":            {write(t, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", 0o644), "no public key"},
		"larger than any such":     {write(t, strings.Repeat(p256(t), 1000), 0o644), "more than the limit"},
		"a private key, by mishap": {write(t, "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", 0o600), "no public key"},
	} {
		if _, err := standalone.ReadKeys(test.path); !fault.IsTerminal(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want a terminal one that says %q", name, err, test.says)
		}
	}
}
