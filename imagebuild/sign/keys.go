package sign

import (
	"encoding/base64"
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// SignKeys returns the bytes of a statement of lock keys and their detached signature, as nodes
// verify them (lock.Trust.Next). A statement that is not valid is not signed.
func (k *Key) SignKeys(s *lock.KeyStatement) (statement, signature []byte, err error) {
	if err := s.Validate(); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	if statement, err = s.Canonical(); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	raw, err := k.signature(statement)
	if err != nil {
		return nil, nil, err
	}
	return statement, []byte(base64.StdEncoding.EncodeToString(raw) + "\n"), nil
}
