package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6/types"
)

// Canonical writes a configuration so that two which mean the same are the same bytes: data URLs
// are unpacked and written in one way.
func Canonical(c types.Config) ([]byte, error) {
	t, err := canonicalTree(c)
	if err != nil {
		return nil, err
	}
	return encode(t)
}

func canonicalTree(c types.Config) (map[string]any, error) {
	t, err := Tree(c)
	if err != nil {
		return nil, err
	}
	return t, unpack(t, "$")
}

func unpack(v any, at string) error {
	switch v := v.(type) {
	case map[string]any:
		source, _ := v["source"].(string)
		if strings.HasPrefix(source, "data:") {
			compression, _ := v["compression"].(string)
			b, err := Contents(source, compression)
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			delete(v, "compression")
			v["source"] = "data:;base64," + base64.StdEncoding.EncodeToString(b)
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := unpack(v[key], at+"."+key); err != nil {
				return err
			}
		}
	case []any:
		for i, child := range v {
			if err := unpack(child, fmt.Sprintf("%s.%d", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Difference returns the path of the first field in which two configurations do not mean the
// same, or "".
func Difference(a, b types.Config) (string, error) {
	x, err := canonicalTree(a)
	if err != nil {
		return "", err
	}
	y, err := canonicalTree(b)
	if err != nil {
		return "", err
	}
	return difference(x, y, "$"), nil
}

func difference(a, b any, at string) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return at
		}
		keys := maps.Clone(x)
		maps.Copy(keys, y)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			_, inX := x[key]
			_, inY := y[key]
			if inX != inY {
				return at + "." + key
			}
			if d := difference(x[key], y[key], at+"."+key); d != "" {
				return d
			}
		}
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return at
		}
		for i := range x {
			if d := difference(x[i], y[i], fmt.Sprintf("%s.%d", at, i)); d != "" {
				return d
			}
		}
	}
	return at
}
