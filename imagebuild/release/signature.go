package release

import (
	"errors"
	"fmt"
	"os"

	"io/fs"

	"slipway.build/slipway/imagebuild/lock"
)

// Signature is what is known of a lock's signature.
type Signature struct {
	File  string `json:"file,omitempty"`  // where the signature was read
	KeyID string `json:"keyID,omitempty"` // of the trusted key that made it
	// Problem says why there is no signature that counts; empty when there is one.
	Problem string `json:"problem,omitempty"`
}

// ReadSignature looks at the signature in a file, of a lock given as YAML or JSON, by the trusted
// public keys in a PEM file. What is wrong, down to files that are not there, is in Problem.
func ReadSignature(lockBytes []byte, signature, trusted string) Signature {
	s := Signature{File: signature}
	raw, err := os.ReadFile(signature)
	if errors.Is(err, fs.ErrNotExist) {
		s.Problem = "there is no signature " + signature
		return s
	}
	if err != nil {
		s.Problem = fmt.Sprintf("its signature cannot be read: %v", err)
		return s
	}
	pem, err := os.ReadFile(trusted)
	if err != nil {
		s.Problem = fmt.Sprintf("the trusted keys cannot be read: %v", err)
		return s
	}
	if _, err := lock.Verify(lockBytes, raw, pem); err != nil {
		s.Problem = err.Error()
		return s
	}
	s.KeyID = signer(lockBytes, raw, pem)
	return s
}

// signer returns the id of the key that has made a good signature.
func signer(lockBytes, signature, pem []byte) string {
	keys, err := lock.PublicKeys(pem)
	if err != nil {
		return ""
	}
	for _, key := range keys {
		text, err := lock.EncodePublicKey(key)
		if err != nil {
			continue
		}
		if _, err := lock.Verify(lockBytes, signature, []byte(text)); err == nil {
			return lock.KeyID(key)
		}
	}
	return ""
}
