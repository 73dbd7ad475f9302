package sign

import (
	"encoding/base64"
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// Sign returns the detached signature of a lock, given as YAML or JSON: one line of base64
// over the canonical bytes, as lock.Verify reads it. A lock that is not valid is not signed.
// The signature is deterministic (RFC 6979), so signing again changes no file.
func (k *Key) Sign(lockBytes []byte) ([]byte, error) {
	l, err := lock.Parse("lock", lockBytes)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	canonical, err := l.Canonical()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	raw, err := k.signature(canonical)
	if err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(raw) + "\n"), nil
}
