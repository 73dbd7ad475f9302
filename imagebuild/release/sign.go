package release

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/lock"
)

// Signer makes detached signatures of locks; sign.Key is one.
type Signer interface {
	Sign(lockBytes []byte) ([]byte, error)
	PublicPEM() ([]byte, error)
}

// Sign writes the signature of a lock, given as YAML or JSON, to a file, in one step. The signature is
// verified as a node would before it is written. With add, what the file has stays, so that nodes that
// trust one key or the other take the lock while keys are rotated; what is there twice is not added.
func Sign(lockBytes []byte, key Signer, file string, add bool) error {
	signature, err := key.Sign(lockBytes)
	if err != nil {
		return err
	}
	trusted, err := key.PublicPEM()
	if err != nil {
		return err
	}
	if _, err := lock.Verify(lockBytes, signature, trusted); err != nil {
		return fmt.Errorf("the signature that was just made: %w", err)
	}
	if add {
		before, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("add a signature: %w", err)
		}
		if bytes.Contains(append([]byte{'\n'}, before...), append([]byte{'\n'}, signature...)) {
			return nil
		}
		if n := len(before); n > 0 && before[n-1] != '\n' {
			before = append(before, '\n')
		}
		signature = append(before, signature...)
	}
	if err := renameio.WriteFile(file, signature, 0o644); err != nil {
		return fmt.Errorf("write the signature: %w", err)
	}
	return nil
}
