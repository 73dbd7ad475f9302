package butane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/imagebuild/ignition/report"
)

// lineError is how the YAML library words errors.
var lineError = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?line (\d+): (.*)$`)

// head reads the text as YAML and finds the version, for a variant that we translate.
func head(file string, text []byte) (doc, version *yaml.Node, wrong report.Entries) {
	one := func(n *yaml.Node, path, format string, a ...any) report.Entries {
		return report.Entries{at(file, n, path, fmt.Sprintf(format, a...))}
	}
	doc = &yaml.Node{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(doc); {
	case errors.Is(err, io.EOF):
		return nil, nil, one(nil, "", "the file is empty")
	case err != nil:
		return nil, nil, report.Entries{syntax(file, text, err)}
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, nil, one(doc, "", "the file has more than one YAML document")
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, nil, one(top, "", "a Butane configuration is a map with the keys variant and version")
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key := top.Content[i]
		if fields[key.Value] != nil {
			return nil, nil, one(key, "", "the key %s is there twice", key.Value)
		}
		fields[key.Value] = top.Content[i+1]
	}
	switch v := fields["variant"]; {
	case v == nil:
		return nil, nil, one(top, "", "there is no variant; want variant: %s", Variant)
	case v.Value != Variant:
		return nil, nil, one(v, "$.variant", "the variant %q is not translated here; want %s", v.Value, Variant)
	case fields["version"] == nil:
		return nil, nil, one(top, "", "there is no version; want one like version: %s", Newest)
	}
	return doc, fields["version"], nil
}

// at is an error at a node of the YAML document.
func at(file string, n *yaml.Node, path, message string) report.Entry {
	e := report.Entry{File: file, Line: 1, Column: 1, Path: path, Level: report.Error, Rule: Rule, Message: message}
	if n != nil && n.Line > 0 {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

// syntax gives an error of the YAML library, which knows lines only, a column: where the line's
// text begins.
func syntax(file string, text []byte, err error) report.Entry {
	e := at(file, nil, "", strings.TrimPrefix(err.Error(), "yaml: "))
	m := lineError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return e
	}
	e.Line, _ = strconv.Atoi(m[1])
	e.Message = m[2]
	if strings.HasPrefix(e.Message, "did not find expected") {
		e.Line++ // the library counts lines from 0 for errors of its parser
	}
	if lines := strings.Split(string(text), "\n"); e.Line >= 1 && e.Line <= len(lines) {
		line := lines[e.Line-1]
		e.Column = len(line) - len(strings.TrimLeft(line, " \t")) + 1
	}
	return e
}

// failure finds the places of an error that Butane gives without one: values of a wrong type.
func failure(file string, doc *yaml.Node, err error) report.Entries {
	var all report.Entries
	for _, line := range strings.Split(err.Error(), "\n") {
		m := lineError.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])
		node := valueOn(doc, n)
		if node == nil {
			node = &yaml.Node{Line: n, Column: 1}
		}
		all = append(all, at(file, node, "", m[2]))
	}
	if all == nil {
		all = report.Entries{at(file, nil, "", err.Error())}
	}
	return all
}

// valueOn returns the last value that begins on a line.
func valueOn(n *yaml.Node, line int) *yaml.Node {
	var found *yaml.Node
	if n.Line == line && n.Kind != yaml.DocumentNode {
		found = n
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key
		}
		if f := valueOn(child, line); f != nil {
			found = f
		}
	}
	return found
}
