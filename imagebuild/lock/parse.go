package lock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"

	"slipway.build/slipway/agent/fault"
)

// MaxSize bounds the bytes that Parse looks at: 4 MiB, a thousand times a real lock.
const MaxSize = 4 << 20

// Parse reads a lock from YAML or from JSON, told apart by the first character, and checks
// its form only; call Validate before trusting what it says. An unknown field, a field given
// twice, a value of the wrong kind and a YAML anchor are terminal errors that name the file
// (name is only used for that), the line and the field.
func Parse(name string, data []byte) (*Lock, error) {
	if len(data) > MaxSize {
		return nil, fault.Terminalf("%s: %d bytes are more than the %d allowed for a lock", name, len(data), MaxSize)
	}
	read := readYAML
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte{'{'}) {
		read = readJSON
	}
	tree, err := read(data)
	if err != nil {
		return nil, inFile(name, err)
	}
	var l Lock
	if err := decode(tree, reflect.ValueOf(&l).Elem(), ""); err != nil {
		return nil, inFile(name, err)
	}
	return &l, nil
}

func inFile(name string, err error) error {
	var p *positionError
	if errors.As(err, &p) {
		return fault.Terminalf("%s:%d: %w", name, p.line, err)
	}
	return fault.Terminalf("%s: %w", name, err)
}

// Load reads, parses and validates the lock in a file. It checks no signature; Verify does.
func Load(path string) (*Lock, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read lock: %w", err)
	}
	l, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, fault.Terminalf("%s: %w", path, err)
	}
	return l, nil
}
