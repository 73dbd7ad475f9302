package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// maxDepth bounds how deep a document may nest; Kubernetes objects stay far below it.
const maxDepth = 64

// checkShape walks data and compares each object's keys with the fields of typ: keys must match
// a field exactly, and none may come twice. encoding/json alone ignores case, keeps the last of
// two equal keys and reports an unknown field without its path.
func checkShape(data []byte, typ reflect.Type) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, typ, "", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return &FieldError{Path: "", Detail: "there is more after the end of the document"}
	}
	return nil
}

func checkValue(dec *json.Decoder, typ reflect.Type, path string, depth int) error {
	if depth > maxDepth {
		return &FieldError{Path: path, Detail: fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	token, err := dec.Token()
	if err != nil {
		return &FieldError{Path: path, Detail: fmt.Sprintf("not JSON: %v", err)}
	}
	delim, ok := token.(json.Delim)
	if !ok {
		if token == nil && typ != nil && typ.Kind() != reflect.Pointer {
			return &FieldError{Path: path, Detail: "must not be null"}
		}
		return nil
	}
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if delim == '[' {
		return checkArray(dec, typ, path, depth)
	}
	return checkObject(dec, typ, path, depth)
}

func checkArray(dec *json.Decoder, typ reflect.Type, path string, depth int) error {
	var element reflect.Type
	if typ != nil {
		if typ.Kind() != reflect.Slice {
			return &FieldError{Path: path, Detail: "must not be a list"}
		}
		element = typ.Elem()
		if element.Kind() == reflect.Interface {
			element = nil
		}
	}
	for i := 0; dec.More(); i++ {
		if err := checkValue(dec, element, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return wrapSyntax(err, path)
}

func checkObject(dec *json.Decoder, typ reflect.Type, path string, depth int) error {
	var fields map[string]reflect.Type
	if typ != nil && typ.Kind() != reflect.Map {
		if typ.Kind() != reflect.Struct {
			return &FieldError{Path: path, Detail: "must not be an object"}
		}
		fields = fieldTypes(typ)
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return wrapSyntax(err, path)
		}
		key, _ := token.(string)
		at := join(path, key)
		if seen[key] {
			return &FieldError{Path: at, Detail: "is there twice"}
		}
		seen[key] = true
		var next reflect.Type
		if fields != nil {
			if next, err = known(fields, key, at); err != nil {
				return err
			}
		}
		if err := checkValue(dec, next, at, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return wrapSyntax(err, path)
}

func known(fields map[string]reflect.Type, key, at string) (reflect.Type, error) {
	typ, ok := fields[key]
	if !ok {
		return nil, &FieldError{Path: at, Detail: "unknown field"}
	}
	return typ, nil
}

func fieldTypes(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		fields[name] = typ.Field(i).Type
	}
	return fields
}

func wrapSyntax(err error, path string) error {
	if err == nil {
		return nil
	}
	return &FieldError{Path: path, Detail: fmt.Sprintf("not JSON: %v", err)}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
