package pki

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// sealKeySize is the size of the sealing key in bytes: AES-256.
const sealKeySize = 32

// sealVersion is the first byte of every sealed value, so that another scheme can follow.
const sealVersion = 1

// Sealer encrypts values for the store with AES-256-GCM. It is safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
}

// NewSealer returns a sealer with the given key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != sealKeySize {
		return nil, fmt.Errorf("sealing key has %d bytes, want %d", len(key), sealKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// OpenSealer reads the sealing key at path, or makes one (mode 0600) when there is none. Two
// processes that make it at the same time end with the same key.
func OpenSealer(path string) (*Sealer, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSealKey(path); err != nil {
			return nil, err
		}
		key, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read sealing key: %w", err)
	}
	s, err := NewSealer(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore the file from its backup: without it no private key in the store can be read", path, err)
	}
	return s, nil
}

// makeSealKey writes a new key beside path and links it into place, so that the first of two
// makers wins and a crash leaves no half-written key.
func makeSealKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make directory of the sealing key: %w", err)
	}
	key := make([]byte, sealKeySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make sealing key: %w", err)
	}
	pending, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("write sealing key: %w", err)
	}
	defer pending.Cleanup()
	if _, err := pending.Write(key); err != nil {
		return fmt.Errorf("write sealing key: %w", err)
	}
	if err := pending.Sync(); err != nil {
		return fmt.Errorf("write sealing key: %w", err)
	}
	if err := os.Link(pending.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("put sealing key in place: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// Seal encrypts value. The label names what the value is (such as "authority/<cluster>/etcd");
// Open must be given the same label, so that a sealed value moved to another row is refused.
func (s *Sealer) Seal(label string, value []byte) []byte {
	return s.aead.Seal([]byte{sealVersion}, nil, value, []byte(label))
}

// Open decrypts what Seal made with the same label.
func (s *Sealer) Open(label string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open sealed %s: unknown form of sealing", label)
	}
	value, err := s.aead.Open(nil, nil, sealed[1:], []byte(label))
	if err != nil {
		return nil, fmt.Errorf("open sealed %s: it was sealed with another key or for another use, or it was altered", label)
	}
	return value, nil
}
