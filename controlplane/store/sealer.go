package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/fault"
)

const (
	sealVersion = 1
	sealKeySize = 32 // AES-256
)

// Sealer encrypts what must not be readable in the database: private keys, secrets, join
// tokens. It is AES-256-GCM with a random nonce; the key is a file outside the database.
type Sealer struct{ aead cipher.AEAD }

// OpenSealer reads the key file at path, or makes it (0600, durable before it is used) when
// there is none. A file that others may read, or of another size, is refused.
func OpenSealer(path string) (*Sealer, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path); err != nil {
			return nil, fmt.Errorf("make encryption key %s: %w", path, err)
		}
		key, err = readKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read encryption key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead}, nil
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fault.Terminalf("%s has mode %04o; others may read it: chmod 0600 it, and rotate what it protects if they did", path, st.Mode().Perm())
	}
	if st.Size() != sealKeySize {
		return nil, fault.Terminalf("%s has %d bytes, expected %d", path, st.Size(), sealKeySize)
	}
	return os.ReadFile(path)
}

// makeKey writes a new key beside path and links it there: of two that race one wins and the
// other uses the winner's key; never is a key replaced.
func makeKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key := make([]byte, sealKeySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-*") // CreateTemp makes files with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, werr := f.Write(key)
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts plain. The context names what it is ("authority/<cluster>/etcd"); Open demands
// the same, so that a sealed value cannot be moved to another row.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal %s: %w", context, err)
	}
	out := append([]byte{sealVersion}, nonce...)
	return s.aead.Seal(out, nonce, plain, []byte(context)), nil
}

// Open decrypts what Seal returned for the same context. Any other bytes are a terminal error.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < 1+n || sealed[0] != sealVersion {
		return nil, fault.Terminalf("open sealed %s: not a sealed value of version %d", context, sealVersion)
	}
	plain, err := s.aead.Open(nil, sealed[1:1+n], sealed[1+n:], []byte(context))
	if err != nil {
		return nil, fault.Terminalf("open sealed %s: wrong key file, or the value was changed or belongs elsewhere", context)
	}
	return plain, nil
}
