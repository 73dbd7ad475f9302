package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/lock"
)

// File names in the directory of a local key: the private key and its public half.
const (
	LocalKeyFile    = "local.key"
	LocalPublicFile = "local.pub"
)

// Key is a private key that signs locks and images.
type Key struct {
	// Name says what kind of key it is: "local", or the file it was read from.
	Name    string
	private *ecdsa.PrivateKey
}

// LocalKey returns the local key of a directory. On first use it makes the directory (0700)
// and a P-256 key in it (local.key, PKCS #8, 0600); two processes that do so at the same
// time get the same key. It writes local.pub whenever that is not the key's public half.
func LocalKey(dir string) (*Key, error) {
	path := filepath.Join(dir, LocalKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, path); err != nil {
			return nil, fmt.Errorf("make the local signing key: %w", err)
		}
	}
	k, err := ReadKey(path)
	if err != nil {
		return nil, err
	}
	k.Name = "local"
	public, err := k.PublicPEM()
	if err != nil {
		return nil, err
	}
	pub := filepath.Join(dir, LocalPublicFile)
	if old, err := os.ReadFile(pub); err == nil && string(old) == string(public) {
		return k, nil
	}
	if err := renameio.WriteFile(pub, public, 0o644); err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return k, nil
}

// makeKey writes a new key to path, unless another process was first.
func makeKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".key-") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if err := errors.Join(
		pem.Encode(temp, &pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		temp.Sync(),
		temp.Close(),
	); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// ReadKey reads a private key from a PEM file (PKCS #8 or SEC 1, P-256). A file that others
// than its owner may read is refused.
func ReadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("signing key %s has mode %04o: others may read it; chmod it to 0600, or make a new one", path, st.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	private, err := parsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	return &Key{Name: path, private: private}, nil
}

func parsePrivate(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY":
		return nil, fmt.Errorf("PEM block %q: encrypted keys are not read; give the key decrypted, in a file for its owner alone", block.Type)
	default:
		return nil, fmt.Errorf("PEM block %q is not a private key", block.Type)
	}
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("not an ECDSA key on P-256")
	}
	return private, nil
}

// signature returns the signature over text: ASN.1, ECDSA on P-256 over its SHA-256. It is
// deterministic (RFC 6979), so signing again changes nothing.
func (k *Key) signature(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	raw, err := k.private.Sign(nil, sum[:], crypto.SHA256) // no randomness: deterministic
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.Name, err)
	}
	return raw, nil
}

// Public returns the public half.
func (k *Key) Public() *ecdsa.PublicKey { return &k.private.PublicKey }

// ID returns the name of the key in messages; see lock.KeyID.
func (k *Key) ID() string { return lock.KeyID(&k.private.PublicKey) }

// PublicPEM returns the public half for a node's trusted keys, after a line that says what
// kind of key it is.
func (k *Key) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		return nil, err
	}
	note := "slipway lock key " + k.ID() + "\n"
	if k.Name == "local" {
		note = "slipway lock key local (made on this machine, no release key) " + k.ID() + "\n"
	}
	return append([]byte(note), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...), nil
}
