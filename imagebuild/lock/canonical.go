package lock

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Canonical returns the bytes that are signed and whose digest names the lock: JSON with
// sorted keys and no white space, fields at their zero value left out where the type says
// so. It does not validate.
func (l *Lock) Canonical() ([]byte, error) {
	ordered, err := marshal(l)
	if err != nil {
		return nil, fmt.Errorf("canonical lock: %w", err)
	}
	// Maps marshal with sorted keys; numbers keep their digits.
	dec := json.NewDecoder(bytes.NewReader(ordered))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("canonical lock: %w", err)
	}
	sorted, err := marshal(noNull(tree))
	if err != nil {
		return nil, fmt.Errorf("canonical lock: %w", err)
	}
	return sorted, nil
}

// Digest returns the sha256 digest of the canonical bytes.
func (l *Lock) Digest() (string, error) {
	b, err := l.Canonical()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b)), nil
}

// YAML renders the lock for people: fields in the order of the types, two spaces of
// indentation, after the header, whose lines become comments. Parse reads it back to the
// same canonical bytes.
func (l *Lock) YAML(header string) ([]byte, error) {
	ordered, err := marshal(l)
	if err != nil {
		return nil, fmt.Errorf("render lock: %w", err)
	}
	tree, err := readJSON(ordered)
	if err != nil {
		return nil, fmt.Errorf("render lock: %w", err)
	}
	var out bytes.Buffer
	for line := range bytes.Lines([]byte(header)) {
		fmt.Fprintf(&out, "%s\n", bytes.TrimRight([]byte("# "+string(line)), " \n"))
	}
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(tree.toYAML()); err != nil {
		return nil, fmt.Errorf("render lock: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("render lock: %w", err)
	}
	return out.Bytes(), nil
}

// noNull turns null, which only a nil slice gives, into the empty list: a list with nothing
// in it has one canonical form.
func noNull(v any) any {
	switch v := v.(type) {
	case nil:
		return []any{}
	case []any:
		for i := range v {
			v[i] = noNull(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = noNull(v[k])
		}
	}
	return v
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
