package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"slipway.build/slipway/agent/fault"
)

// DigestError says that a blob has other bytes than its name.
type DigestError struct{ Expected, Found string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("expected digest %s, found %s", e.Expected, e.Found)
}

// ReadBlob returns the bytes of a blob of at most MaxManifest bytes that are what its digest says. A
// wrong one is a terminal error with a DigestError inside.
func (l *Layout) ReadBlob(digest string) ([]byte, error) {
	b, err := l.Blob(digest)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.Size() > MaxManifest {
		return nil, fault.Terminalf("blob %s has %d bytes, more than the %d allowed here", digest, b.Size(), MaxManifest)
	}
	data := make([]byte, b.Size())
	if _, err := io.ReadFull(b, data); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", digest, err)
	}
	if found := Digest(data); found != digest {
		return nil, fault.Terminalf("blob %s: %w", digest, &DigestError{Expected: digest, Found: found})
	}
	return data, nil
}

// Digest returns the sha256 digest of bytes.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
