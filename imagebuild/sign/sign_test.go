package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

const validLock = `schema: slipway.build/images/v2
number: 1
issued: "2026-11-21T17:00:00Z"
expires: "2031-11-20T17:00:00Z"
toolchain: go1.26.7
images:
  - name: fcos
    version: v1
    repository: fedora/fcos
    source: {reference: registry.example/fcos}
    unresolved: it cannot be fetched here
`

func TestASignatureByTheLocalKeyVerifies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	key, err := LocalKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := key.Sign([]byte(validLock))
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, LocalPublicFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Verify([]byte(validLock), sig, public); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(validLock, "v1\n    repo", "v2\n    repo", 1)
	if _, err := lock.Verify([]byte(changed), sig, public); err == nil {
		t.Error("a changed lock verifies")
	}
	l, err := lock.Parse("x", []byte(validLock))
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	again, err := key.Sign(canonical)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sig, again) {
		t.Error("the same lock in another rendering got another signature")
	}
}

func TestTheLocalKeyIsMadeOnceAndForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			key, err := LocalKey(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = key.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several keys: %v", ids)
		}
	}
	st, err := os.Stat(filepath.Join(dir, LocalKeyFile))
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	public, err := os.ReadFile(filepath.Join(dir, LocalPublicFile))
	if err != nil || !strings.Contains(string(public), "local (made on this machine, no release key) "+ids[0]) {
		t.Errorf("the public key does not say what it is:\n%s (%v)", public, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("left behind: %v %v", files, err)
	}
}

func TestALockThatIsNotValidIsNotSigned(t *testing.T) {
	key, err := LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "schema: x\n", strings.Replace(validLock, "unresolved:", "index:", 1)} {
		if sig, err := key.Sign([]byte(text)); err == nil {
			t.Errorf("%q got the signature %s", text, sig)
		}
	}
}

func TestReadKey(t *testing.T) {
	write := func(t *testing.T, mode os.FileMode, curve elliptic.Curve, typ string) string {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "release.key")
		if err := errors.Join(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), mode), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key, err := ReadKey(write(t, 0o600, elliptic.P256(), "EC PRIVATE KEY"))
	if err != nil || filepath.Base(key.Name) != "release.key" {
		t.Errorf("a SEC 1 key: %v %v", key, err)
	}
	for name, tt := range map[string]struct {
		file, want string
	}{
		"readable by others": {write(t, 0o644, elliptic.P256(), "EC PRIVATE KEY"), "mode 0644"},
		"another curve":      {write(t, 0o600, elliptic.P384(), "EC PRIVATE KEY"), "P-256"},
		"no private key":     {write(t, 0o600, elliptic.P256(), "CERTIFICATE"), "not a private key"},
		"missing":            {filepath.Join(t.TempDir(), "none"), "no such file"},
	} {
		if _, err := ReadKey(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
