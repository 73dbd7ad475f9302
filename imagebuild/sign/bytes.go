package sign

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// SignBytes returns the detached signature of a text as it is, in the form of Sign's: one line of
// base64. It is for files that are no component lock, such as the OS lock.
func (k *Key) SignBytes(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	raw, err := k.private.Sign(nil, sum[:], crypto.SHA256) // no randomness: deterministic
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.Name, err)
	}
	return []byte(base64.StdEncoding.EncodeToString(raw) + "\n"), nil
}
