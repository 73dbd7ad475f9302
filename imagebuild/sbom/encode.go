package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// created is the time in every document: the epoch, for a document says what is in an image, and
// that does not depend on when it was made.
const created = "1970-01-01T00:00:00Z"

// encode returns the document on lines of its own, without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// fingerprint is the sha256 of a document that has no name of its own yet: whatever changes in
// it changes its name.
func fingerprint(v any) ([32]byte, error) {
	b, err := encode(v)
	return sha256.Sum256(b), err
}

// uuid makes a UUID of version 8 (RFC 9562: content of one's own) from a fingerprint.
func uuid(sum [32]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
