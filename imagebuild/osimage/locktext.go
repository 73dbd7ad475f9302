package osimage

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/imagebuild/lock"
)

// LockFile and LockSignature are the names of the OS lock and its detached signature in the directory of the
// layout that holds the image.
const (
	LockFile      = "os.yaml"
	LockSignature = "os.yaml.sig"
)

// ParseLock reads an OS lock strictly: unknown, repeated and malformed fields are errors.
func ParseLock(file string, data []byte) (*Lock, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var l Lock
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", file)
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &l, nil
}

// YAML returns the lock's text.
func (l *Lock) YAML() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("OS lock: %w", err)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("OS lock: %w", err)
	}
	return out.Bytes(), enc.Close()
}

// VerifyLock checks the detached signature of an OS lock's text before it reads it. It returns the id of
// the trusted key that has signed.
func VerifyLock(file string, text, signature, trustedPEM []byte) (*Lock, string, error) {
	keys, err := lock.PublicKeys(trustedPEM)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(text)
	var names []string
	for _, key := range keys {
		names = append(names, lock.KeyID(key))
		for line := range bytes.Lines(signature) {
			raw, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(line)))
			if err != nil {
				return nil, "", fmt.Errorf("signature of %s: %w", file, err)
			}
			if !ecdsa.VerifyASN1(key, sum[:], raw) {
				continue
			}
			l, err := ParseLock(file, text)
			return l, lock.KeyID(key), err
		}
	}
	return nil, "", fmt.Errorf("%s (sha256:%s) is signed by none of the trusted keys (%s)", file, hex.EncodeToString(sum[:]), strings.Join(names, ", "))
}
