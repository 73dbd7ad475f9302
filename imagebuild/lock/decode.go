package lock

import (
	"fmt"
	"reflect"
	"strings"
)

// decode stores the tree into v, a settable value made of structs, slices, strings and
// int64s. Field names are the json tags, matched exactly; an unknown or repeated one is an
// error, and so is a value of another kind. Path names v in errors.
func decode(n *node, v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(n, v, path)
	case reflect.Slice:
		if n.kind != array {
			return wrongKind(n, path, array)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.values), len(n.values)))
		for i, c := range n.values {
			if err := decode(c, v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.String:
		if n.kind != text {
			return wrongKind(n, path, text)
		}
		v.SetString(n.value)
	case reflect.Int64:
		if n.kind != number {
			return wrongKind(n, path, number)
		}
		i, err := n.integer()
		if err != nil {
			return at(n.line, "%s: %w", path, err)
		}
		v.SetInt(i)
	default:
		panic("lock: no decoder for " + v.Type().String())
	}
	return nil
}

func decodeStruct(n *node, v reflect.Value, path string) error {
	if n.kind != object {
		return wrongKind(n, path, object)
	}
	seen := map[string]bool{}
	for i, key := range n.keys {
		field := key
		if path != "" {
			field = path + "." + key
		}
		if seen[key] {
			return at(n.values[i].line, "%s: field given twice", field)
		}
		seen[key] = true
		f, ok := fieldByTag(v, key)
		if !ok {
			return at(n.values[i].line, "%s: unknown field", field)
		}
		if err := decode(n.values[i], f, field); err != nil {
			return err
		}
	}
	return nil
}

func fieldByTag(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if tag == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func wrongKind(n *node, path string, want kind) error {
	if path == "" {
		path = "document"
	}
	hint := ""
	if want == text && n.kind == number {
		hint = " (put it in quotes)"
	}
	return at(n.line, "%s: want %s, found %s%s", path, want, n.kind, hint)
}
