package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// kind is what a node of a document is.
type kind int

const (
	object kind = iota + 1
	array
	text
	number
	other // null, booleans: no field of a lock has one
)

func (k kind) String() string {
	return map[kind]string{
		object: "a mapping", array: "a list", text: "a string", number: "a number", other: "null or a boolean",
	}[k]
}

// node is a document in the form that JSON and YAML share, with the line of each value.
type node struct {
	kind   kind
	line   int
	value  string   // text and number
	keys   []string // object, in the order written
	values []*node  // object and array
}

// maxDepth bounds nesting; a lock is six levels deep.
const maxDepth = 32

// positionError is an error at a line of a document.
type positionError struct {
	line int
	err  error
}

func (e *positionError) Error() string { return e.err.Error() }
func (e *positionError) Unwrap() error { return e.err }

func at(line int, format string, a ...any) error {
	return &positionError{line, fmt.Errorf(format, a...)}
}

// readYAML reads exactly one YAML document without anchors, aliases and merge keys.
func readYAML(data []byte) (*node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, at(1, "the document is empty")
		}
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document in the file")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, at(1, "the document is empty")
	}
	return fromYAML(doc.Content[0], 0)
}

func fromYAML(y *yaml.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, at(y.Line, "nested deeper than %d levels", maxDepth)
	}
	if y.Anchor != "" || y.Kind == yaml.AliasNode {
		return nil, at(y.Line, "anchors and aliases are not allowed in a lock")
	}
	n := &node{line: y.Line, value: y.Value}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" || k.Anchor != "" {
				return nil, at(k.Line, "a field name must be a plain string")
			}
			v, err := fromYAML(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.keys, n.values = append(n.keys, k.Value), append(n.values, v)
		}
	case yaml.SequenceNode:
		n.kind = array
		for _, c := range y.Content {
			v, err := fromYAML(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
	case yaml.ScalarNode:
		switch y.ShortTag() {
		case "!!str":
			n.kind = text
		case "!!int", "!!float":
			n.kind = number
		default:
			n.kind = other
		}
	default:
		return nil, at(y.Line, "unexpected YAML construct")
	}
	return n, nil
}

// readJSON reads exactly one JSON value.
func readJSON(data []byte) (*node, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.dec.UseNumber()
	n, err := r.value(0)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, r.position(err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, r.position(errors.New("more than one JSON value in the file"))
	}
	return n, nil
}

type jsonReader struct {
	dec     *json.Decoder
	data    []byte
	line    int
	counted int
}

// here returns the line on which the last token ended.
func (r *jsonReader) here() int {
	off := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.counted:off], []byte{'\n'})
	r.counted = off
	return r.line
}

func (r *jsonReader) position(err error) error {
	if p := (*positionError)(nil); errors.As(err, &p) {
		return err
	}
	return &positionError{r.here(), err}
}

func (r *jsonReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: r.here()}
	switch t := tok.(type) {
	case json.Delim:
		n.kind = array
		if t == '{' {
			n.kind = object
		}
		for r.dec.More() {
			if n.kind == object {
				key, err := r.dec.Token()
				if err != nil {
					return nil, err
				}
				name, ok := key.(string)
				if !ok {
					return nil, fmt.Errorf("field name expected, found %v", key)
				}
				n.keys = append(n.keys, name)
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
		if _, err := r.dec.Token(); err != nil {
			return nil, err
		}
	case string:
		n.kind, n.value = text, t
	case json.Number:
		n.kind, n.value = number, t.String()
	default:
		n.kind = other
	}
	return n, nil
}

// toYAML turns the tree into YAML's own nodes, in block style.
func (n *node) toYAML() *yaml.Node {
	switch n.kind {
	case object:
		y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for i, k := range n.keys {
			y.Content = append(y.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: k}, n.values[i].toYAML())
		}
		return y
	case array:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, v := range n.values {
			y.Content = append(y.Content, v.toYAML())
		}
		return y
	case number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: n.value}
	case other: // a nil slice
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: n.value}
	}
}

// integer reads a decimal integer as both formats write it, without signs of other bases.
func (n *node) integer() (int64, error) {
	v, err := strconv.ParseInt(n.value, 10, 64)
	if err != nil || strings.HasPrefix(n.value, "+") {
		return 0, fmt.Errorf("%q is not an integer", n.value)
	}
	return v, nil
}
