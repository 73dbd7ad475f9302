package template

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The limits on what is read. Heat's own limit on a template is 512 KiB.
const (
	maxBytes = 512 << 10
	maxDepth = 50
)

// versions are the heat_template_version values whose functions we have. Later ones only add.
var versions = regexp.MustCompile(`^(201[6-9]-\d\d-\d\d|202[0-9]-\d\d-\d\d|newton|ocata|pike|queens|rocky|wallaby)$`)

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`)

// otherFunctions are functions of Heat that we do not have: used, they are an error rather
// than a map with one entry.
var otherFunctions = regexp.MustCompile(`^(get_.*|Fn::.*|Ref|resource_facade|digest|repeat|yaql|map_merge|map_replace|str_replace_strict|str_replace_vstrict|str_split|contains|filter|make_url|list_concat_unique)$`)

// Parse reads one template. name is what it is called in messages and as a type. The error
// joins *Error values. Whether types and references exist is Bundle.Validate's matter.
func Parse(name, text string) (*Template, error) {
	p := &parser{file: name}
	t := &Template{Name: name, Text: text, pos: Pos{name, 1}}
	if len(text) > maxBytes {
		return nil, &Error{t.pos, fmt.Sprintf("the template has %d bytes, more than %d", len(text), maxBytes)}
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, yamlError(name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &Error{t.pos, "more than one YAML document"}
	}
	if len(doc.Content) != 1 {
		return nil, &Error{t.pos, "empty template"}
	}
	p.template(doc.Content[0], t)
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return t, nil
}

func yamlError(name string, err error) error {
	line := 1
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, message = n, text
			}
		}
	}
	return &Error{Pos{name, line}, message}
}

type parser struct {
	file string
	faults
}

func (p *parser) at(n *yaml.Node) Pos { return Pos{p.file, n.Line} }

type pair struct {
	key   string
	node  *yaml.Node // of the key
	value *yaml.Node
}

// pairs returns the entries of a map, and complains about anything else.
func (p *parser) pairs(n *yaml.Node, what string) []pair {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.add(p.at(n), "%s must be a map", what)
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" || k.ShortTag() == "!!null":
			p.add(p.at(k), "%s: a key must be a plain name", what)
			continue
		case slices.ContainsFunc(out, func(o pair) bool { return o.key == k.Value }):
			p.add(p.at(k), "%s: %q is there twice", what, k.Value)
			continue
		}
		out = append(out, pair{k.Value, k, v})
	}
	return out
}

func (p *parser) scalar(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		p.add(p.at(n), "%s must be a string", what)
		return ""
	}
	return n.Value
}

func (p *parser) named(kind string, ps []pair) []pair {
	return slices.DeleteFunc(ps, func(o pair) bool {
		bad := !names.MatchString(o.key) && !(kind == "output" && strings.HasPrefix(o.key, "OS::"))
		if bad {
			p.add(p.at(o.node), "%s name %q is not made of letters, digits, '_', '.' and '-'", kind, o.key)
		}
		return bad
	})
}

func (p *parser) template(n *yaml.Node, t *Template) {
	version := false
	for _, o := range p.pairs(n, "the template") {
		switch o.key {
		case "heat_template_version":
			version = true
			if v := p.scalar(o.value, o.key); !versions.MatchString(v) {
				p.add(p.at(o.value), "unknown heat_template_version %q", v)
			}
		case "description":
			t.Description = p.scalar(o.value, o.key)
		case "parameters":
			for _, e := range p.named("parameter", p.pairs(o.value, o.key)) {
				t.Parameters = append(t.Parameters, p.parameter(e))
			}
		case "conditions":
			for _, e := range p.named("condition", p.pairs(o.value, o.key)) {
				t.Conditions = append(t.Conditions, &Condition{e.key, p.condition(e.value, 0)})
			}
		case "resources":
			for _, e := range p.named("resource", p.pairs(o.value, o.key)) {
				t.Resources = append(t.Resources, p.resource(e))
			}
		case "outputs":
			for _, e := range p.named("output", p.pairs(o.value, o.key)) {
				t.Outputs = append(t.Outputs, p.output(e))
			}
		default:
			p.add(p.at(o.node), "unknown section %q", o.key)
		}
	}
	if !version {
		p.add(t.pos, "heat_template_version is missing")
	}
}

func (p *parser) resource(o pair) *Resource {
	r := &Resource{Name: o.key, Pos: p.at(o.node)}
	what := "resource " + o.key
	var properties *yaml.Node
	for _, e := range p.pairs(o.value, what) {
		switch e.key {
		case "type":
			r.Type = p.scalar(e.value, what+": type")
		case "properties":
			properties = e.value
		case "depends_on":
			r.DependsOn = p.dependsOn(e.value, what)
		case "condition":
			r.Condition = p.condition(e.value, 0)
		case "metadata":
			r.Metadata = p.mapping(e.value, what+": metadata")
		default:
			p.add(p.at(e.node), "%s: unknown key %q", what, e.key)
		}
	}
	if r.Type == "" {
		p.add(r.Pos, "%s has no type", what)
	}
	if properties == nil {
		return r
	}
	if r.Type != ResourceGroup {
		r.Properties = p.mapping(properties, what+": properties")
		return r
	}
	rest := *properties
	rest.Content = nil
	for _, e := range p.pairs(properties, what+": properties") {
		if e.key == "resource_def" {
			r.Def = p.definition(e, what)
			continue
		}
		rest.Content = append(rest.Content, e.node, e.value)
	}
	r.Properties = p.mapping(&rest, what+": properties")
	return r
}

func (p *parser) definition(o pair, what string) *Definition {
	d := &Definition{Pos: p.at(o.node)}
	what += ": resource_def"
	for _, e := range p.pairs(o.value, what) {
		switch e.key {
		case "type":
			d.Type = p.scalar(e.value, what+": type")
		case "properties":
			d.Properties = p.mapping(e.value, what+": properties")
		case "metadata":
			d.Metadata = p.mapping(e.value, what+": metadata")
		default:
			p.add(p.at(e.node), "%s: unknown key %q", what, e.key)
		}
	}
	return d
}

func (p *parser) dependsOn(n *yaml.Node, what string) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{p.scalar(n, what+": depends_on")}
	}
	if n.Kind != yaml.SequenceNode {
		p.add(p.at(n), "%s: depends_on must be a name or a list of names", what)
		return nil
	}
	var out []string
	for _, x := range n.Content {
		out = append(out, p.scalar(x, what+": depends_on"))
	}
	return out
}

func (p *parser) output(o pair) *Output {
	out := &Output{Name: o.key, Pos: p.at(o.node)}
	what := "output " + o.key
	value := false
	for _, e := range p.pairs(o.value, what) {
		switch e.key {
		case "description":
			out.Description = p.scalar(e.value, what+": description")
		case "value":
			value = true
			out.Value = p.expr(e.value, 0)
		case "condition":
			out.Condition = p.condition(e.value, 0)
		default:
			p.add(p.at(e.node), "%s: unknown key %q", what, e.key)
		}
	}
	if !value {
		p.add(out.Pos, "%s has no value", what)
	}
	return out
}

// mapping parses an expression that must be a map written out.
func (p *parser) mapping(n *yaml.Node, what string) *Expr {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.add(p.at(n), "%s must be a map", what)
		return nil
	}
	e := &Expr{pos: p.at(n), kind: mapExpr}
	for _, o := range p.pairs(n, what) {
		e.entries = append(e.entries, entry{o.key, p.at(o.node), p.expr(o.value, 1)})
	}
	return e
}
