package trust

import (
	"fmt"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Signed is a lock whose signature was verified.
type Signed struct {
	*lock.Lock
	// Digest names the lock; Key is the id of the key that signed it.
	Digest, Key string
}

// VerifyLock verifies a lock's detached signature by one of the trusted keys (PEM) and says which
// of them it was.
func VerifyLock(text, signature, trustedPEM []byte) (*Signed, error) {
	keys, err := lock.PublicKeys(trustedPEM)
	if err != nil {
		return nil, err
	}
	var refusal error
	for _, key := range keys {
		one, err := lock.EncodePublicKey(key)
		if err != nil {
			return nil, fmt.Errorf("trusted keys: %w", err)
		}
		l, err := lock.Verify(text, signature, []byte(one))
		if err != nil {
			refusal = err
			continue
		}
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		return &Signed{Lock: l, Digest: digest, Key: lock.KeyID(key)}, nil
	}
	if len(keys) > 1 { // the message for all of them
		if _, err := lock.Verify(text, signature, trustedPEM); err != nil {
			return nil, err
		}
	}
	return nil, refusal
}

// ByID returns those of the keys (PEM) that have that id: how keys that come along with what they
// sign are believed, once somebody has compared the id.
func ByID(keysPEM []byte, id string) ([]byte, error) {
	keys, err := lock.PublicKeys(keysPEM)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, key := range keys {
		if lock.KeyID(key) == id {
			text, err := lock.EncodePublicKey(key)
			return []byte(text), err
		}
		found = append(found, lock.KeyID(key))
	}
	return nil, fault.Terminalf("expected a key with the id %s, found %v", id, found)
}
