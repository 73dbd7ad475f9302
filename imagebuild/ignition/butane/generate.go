package butane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	cutil "github.com/coreos/butane/config/util"
	"github.com/coreos/ignition/v2/config/v3_6/types"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/imagebuild/ignition/config"
)

// Generate writes an Ignition configuration as a Butane one of the newest version. Contents of
// data URLs that are text become inline, unpacked if they are compressed; others stay data URLs.
// The result is translated back and compared: what Butane cannot say is an error with its field.
func Generate(c types.Config) ([]byte, error) {
	tree, err := config.Tree(c)
	if err != nil {
		return nil, err
	}
	text, err := write(tree)
	if err != nil {
		return nil, err
	}
	again, entries := Render("the generated configuration", text, Options{})
	if err := entries.Err(true); err != nil {
		return nil, fmt.Errorf("butane cannot say this: %w", err)
	}
	back, entries := config.Parse("the generated configuration", again)
	if err := entries.Err(true); err != nil {
		return nil, fmt.Errorf("butane cannot say this: %w", err)
	}
	d, err := config.Difference(c, back)
	if err != nil {
		return nil, err
	}
	if d != "" {
		return nil, fmt.Errorf("butane cannot say this: %s", d)
	}
	return text, nil
}

// write is the tree in Butane's form.
func write(tree map[string]any) ([]byte, error) {
	delete(tree["ignition"].(map[string]any), "version")
	top := &yaml.Node{Kind: yaml.MappingNode}
	add(top, "variant", scalar(Variant))
	add(top, "version", scalar(Newest))
	for _, key := range []string{"ignition", "kernelArguments", "passwd", "storage", "systemd"} {
		if m, ok := tree[key].(map[string]any); ok && len(m) > 0 {
			n, err := node(m)
			if err != nil {
				return nil, err
			}
			add(top, cutil.Snake(key), n)
		}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return nil, fmt.Errorf("write Butane: %w", err)
	}
	return b.Bytes(), e.Close()
}

// node turns a part of the configuration into YAML.
func node(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case map[string]any:
		inline(v)
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range order(v) {
			child, err := node(v[key])
			if err != nil {
				return nil, err
			}
			if number, ok := v[key].(json.Number); ok && key == "mode" {
				mode, err := number.Int64()
				if err != nil {
					return nil, fmt.Errorf("mode %s: %w", number, err)
				}
				child.Value = fmt.Sprintf("0%03o", mode) // as people write modes
			}
			add(n, cutil.Snake(key), child)
		}
		return n, nil
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range v {
			child, err := node(element)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		return n, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case string:
		return scalar(v), nil
	}
	return nil, fmt.Errorf("write Butane: a value of the type %T", v)
}

// inline replaces a data URL by its contents when they are text.
func inline(m map[string]any) {
	source, ok := m["source"].(string)
	if !ok {
		return
	}
	compression, _ := m["compression"].(string)
	b, err := config.Contents(source, compression)
	if err != nil || !utf8.Valid(b) || bytes.ContainsFunc(b, unprintable) {
		return
	}
	delete(m, "source")
	delete(m, "compression")
	m["inline"] = string(b)
}

// unprintable reports characters that make contents something else than text.
func unprintable(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

// order has first what names a thing, then the rest by name.
func order(m map[string]any) []string {
	var keys []string
	for _, first := range []string{"name", "path", "device", "url"} {
		if _, ok := m[first]; ok {
			keys = append(keys, first)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func add(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, scalar(key), value)
}

// scalar is a string, in lines of its own when it has several.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	n.Style = 0
	switch lines := strings.Split(s, "\n"); {
	case len(lines) > 1 && plainLines(lines):
		n.Style = yaml.LiteralStyle
	case len(lines) > 1:
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plainLines reports whether lines can stand as they are in a literal block.
func plainLines(lines []string) bool {
	if lines[0] == "" || strings.HasPrefix(lines[0], " ") {
		return false
	}
	for _, line := range lines {
		if strings.ContainsFunc(line, func(r rune) bool {
			return r < ' ' && r != '\t' || r == 0xfeff || r == 0x85 || r == 0x2028 || r == 0x2029
		}) || strings.HasPrefix(line, "\t") {
			return false
		}
		if strings.HasSuffix(line, " ") {
			return false
		}
	}
	return true
}
