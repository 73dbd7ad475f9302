package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// hasSum returns nil if the file's sha256 is what it should be.
func hasSum(name, want string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if found := hex.EncodeToString(h.Sum(nil)); found != want {
		return fmt.Errorf("%s: expected sha256 %s, found %s", name, want, found)
	}
	return nil
}
