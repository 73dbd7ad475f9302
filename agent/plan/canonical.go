package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Canonical returns the plan's canonical bytes: JSON with sorted keys, no white space, and no
// escaping beyond what JSON demands. Equal plans have equal bytes.
func (p *Plan) Canonical() ([]byte, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("canonical form of plan %d of node %s: %w", p.Generation, p.Node.Name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("canonical form of plan %d of node %s: %w", p.Generation, p.Node.Name, err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("canonical form of plan %d of node %s: %w", p.Generation, p.Node.Name, err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Digest returns "sha256:" and the hex sum of the plan's canonical bytes.
func (p *Plan) Digest() (string, error) {
	raw, err := p.Canonical()
	if err != nil {
		return "", err
	}
	return DigestOf(raw), nil
}

// DigestOf returns "sha256:" and the hex sum of data.
func DigestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
