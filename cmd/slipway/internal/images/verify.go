package images

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Verify checks what a node would refuse: the signature of the lock by a key in publicKeys
// (PEM), and that every blob that the lock names is in the layout with the bytes that its
// digest says. It returns the lock; the error names everything that is wrong.
func Verify(p Paths, publicKeys string) (*lock.Lock, error) {
	text, err := os.ReadFile(p.Lock())
	if err != nil {
		return nil, fmt.Errorf("read the signed lock: %w; `slipway up` makes it", err)
	}
	signature, err := os.ReadFile(p.Signature())
	if err != nil {
		return nil, fmt.Errorf("read the lock's signature: %w", err)
	}
	trusted, err := os.ReadFile(publicKeys)
	if err != nil {
		return nil, fmt.Errorf("read the trusted keys: %w", err)
	}
	l, err := lock.Verify(text, signature, trusted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Lock(), err)
	}
	var problems []error
	for _, image := range l.Images {
		for _, platform := range image.Platforms {
			digests := []string{platform.Manifest, platform.Config}
			for _, layer := range platform.Layers {
				digests = append(digests, layer.Digest)
			}
			for _, digest := range digests {
				if err := blob(p.Registry(), digest); err != nil {
					problems = append(problems, fmt.Errorf("image %s, %s: %w", image.Name, platform.Platform, err))
				}
			}
		}
	}
	return l, errors.Join(problems...)
}

// blob checks one blob of an OCI layout.
func blob(layout, digest string) error {
	name := filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if found := "sha256:" + hex.EncodeToString(h.Sum(nil)); found != digest {
		return fmt.Errorf("%s: expected %s, found %s", name, digest, found)
	}
	return nil
}
