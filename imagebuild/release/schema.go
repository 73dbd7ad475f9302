package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// SchemaID names the JSON Schema of locks; it is the $id of what Schema returns.
const SchemaID = "https://slipway.build/schema/images-v2.json"

// node is the part of JSON Schema (draft 2020-12) that the lock needs.
type node struct {
	Dialect     string           `json:"$schema,omitempty"`
	ID          string           `json:"$id,omitempty"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Ref         string           `json:"$ref,omitempty"`
	Const       string           `json:"const,omitempty"`
	Type        string           `json:"type,omitempty"`
	Pattern     string           `json:"pattern,omitempty"`
	Minimum     *int64           `json:"minimum,omitempty"`
	MinItems    int              `json:"minItems,omitempty"`
	Items       *node            `json:"items,omitempty"`
	Properties  map[string]*node `json:"properties,omitempty"`
	Required    []string         `json:"required,omitempty"`
	Closed      *bool            `json:"additionalProperties,omitempty"`
	If          *node            `json:"if,omitempty"`
	Then        *node            `json:"then,omitempty"`
	Else        *node            `json:"else,omitempty"`
	OneOf       []*node          `json:"oneOf,omitempty"`
	Not         *node            `json:"not,omitempty"`
	AnyOf       []*node          `json:"anyOf,omitempty"`
	Definitions map[string]*node `json:"$defs,omitempty"`
}

// Schema returns the JSON Schema of locks, generated from the types of package lock with the forms
// that lock.Validate holds their texts against. It describes the canonical form, in which optional
// fields without a value are left out. What one schema cannot say stays with lock.Validate: sorted
// and unique entries, digests that no two images share, days that the calendar has.
func Schema() ([]byte, error) {
	g := &generator{definitions: map[string]*node{}, fields: schemaFields()}
	root, err := g.object(reflect.TypeFor[lock.Lock]())
	if err != nil {
		return nil, err
	}
	if len(g.fields) > 0 {
		return nil, fmt.Errorf("schema of locks: described, but not there: %v", g.fields)
	}
	root.Dialect, root.ID, root.Title = "https://json-schema.org/draft/2020-12/schema", SchemaID, "The lock of component images, "+lock.Schema
	root.Definitions = g.definitions
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("schema of locks: %w", err)
	}
	return out.Bytes(), nil
}

// generator walks the types. What was described in fields is taken out as it is used.
type generator struct {
	definitions map[string]*node
	fields      map[string]field
}

func (g *generator) object(t reflect.Type) (*node, error) {
	closed := false
	out := &node{Type: "object", Properties: map[string]*node{}, Closed: &closed}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		key := t.Name() + "." + name
		about, ok := g.fields[key]
		if !ok {
			return nil, fmt.Errorf("schema of locks: %s is not described", key)
		}
		delete(g.fields, key)
		property, err := g.value(t.Field(i).Type, about)
		if err != nil {
			return nil, err
		}
		property.Description = about.description
		out.Properties[name] = property
		if options == "" {
			out.Required = append(out.Required, name)
		}
	}
	constrain(t.Name(), out)
	return out, nil
}

func (g *generator) value(t reflect.Type, about field) (*node, error) {
	switch t.Kind() {
	case reflect.String:
		if about.constant != "" {
			return &node{Const: about.constant}, nil
		}
		return &node{Type: "string", Pattern: about.form}, nil
	case reflect.Int64:
		return &node{Type: "integer", Minimum: &about.minimum}, nil
	case reflect.Slice:
		items, err := g.value(t.Elem(), about)
		return &node{Type: "array", Items: items, MinItems: about.minItems}, err
	case reflect.Struct:
		if _, ok := g.definitions[t.Name()]; !ok {
			definition, err := g.object(t)
			if err != nil {
				return nil, err
			}
			g.definitions[t.Name()] = definition
		}
		return &node{Ref: "#/$defs/" + t.Name()}, nil
	}
	return nil, fmt.Errorf("schema of locks: no schema for a %s", t)
}

// constrain adds what holds between the fields of a type.
func constrain(name string, out *node) {
	switch name {
	case "Image":
		// Either unresolved, or complete.
		out.If = &node{Required: []string{"unresolved"}}
		out.Then = &node{Not: &node{AnyOf: []*node{{Required: []string{"index"}}, {Required: []string{"platforms"}}}}}
		out.Else = &node{Required: []string{"index", "platforms"}}
	case "Source":
		out.OneOf = []*node{
			{Required: []string{"module", "version", "sum", "goSum", "packages"}},
			{Required: []string{"reference"}},
		}
	}
}
