package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coreos/ignition/v2/config/v3_6"
	"github.com/coreos/ignition/v2/config/v3_6/types"
	"github.com/coreos/vcontext/path"

	"slipway.build/slipway/imagebuild/ignition/report"
)

// Rule is the name of the rule that a configuration is one of Ignition's.
const Rule = "ignition"

// Parse reads a configuration of any version up to 3.6.0 as one of 3.6.0. The configuration is
// only of use when the entries have no error.
func Parse(file string, data []byte) (types.Config, report.Entries) {
	c, r, err := v3_6.ParseCompatibleVersion(data)
	entries := report.From(file, Rule, r)
	if err != nil && !r.IsFatal() {
		entries = append(entries, At(file, data, "ignition", "version").with(report.Entry{Level: report.Error, Rule: Rule, Message: err.Error()}))
	}
	for i := range entries {
		if entries[i].Path == "" || entries[i].Line == 0 {
			entries[i].Line, entries[i].Column = brokenAt(data, entries[i])
		}
	}
	return c, entries.Sort()
}

// brokenAt finds the place of an error of the text as JSON; the report has none for one at the end.
func brokenAt(data []byte, e report.Entry) (line, column int) {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(any)); errors.As(err, &syntax) && len(data) > 0 {
		before := data[:min(max(syntax.Offset-1, 0), int64(len(data)))]
		return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
	}
	return max(e.Line, 1), max(e.Column, 1)
}

// Marshal writes a configuration: without what is empty, and with its keys sorted.
func Marshal(c types.Config) ([]byte, error) {
	t, err := Tree(c)
	if err != nil {
		return nil, err
	}
	return encode(t)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Tree is a configuration as maps, lists, strings, numbers (json.Number) and booleans, without
// empty maps and lists.
func Tree(c types.Config) (map[string]any, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var t map[string]any
	if err := d.Decode(&t); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	prune(t)
	return t, nil
}

// prune removes empty maps and lists from maps; lists keep their elements.
func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			prune(child)
			if empty(child) {
				delete(v, key)
			}
		}
	case []any:
		for _, child := range v {
			prune(child)
		}
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// Merge puts the child over the parent, as Ignition does.
func Merge(parent, child types.Config) types.Config { return v3_6.Merge(parent, child) }

// place is a field's place in a file.
type place struct {
	file         string
	line, column int
	path         path.ContextPath
}

func (p place) with(e report.Entry) report.Entry {
	e.File, e.Line, e.Column = p.file, p.line, p.column
	if p.path.Len() > 0 {
		e.Path = p.path.String()
	}
	return e
}
