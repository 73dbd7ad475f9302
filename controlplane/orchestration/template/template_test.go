package template

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.build/slipway/controlplane/cloud"
)

func schemas(typ string) (cloud.Schema, bool) {
	switch typ {
	case "T::Thing":
		return cloud.Schema{
			Properties: []cloud.Property{{Name: "name", Kind: cloud.String}, {Name: "size", Kind: cloud.Number}, {Name: "list", Kind: cloud.List}, {Name: "map", Kind: cloud.Map}, {Name: "on", Kind: cloud.Boolean}, {Name: "any"}},
			Attributes: []string{"address", "ids"},
		}, true
	case "T::Strict":
		return cloud.Schema{Properties: []cloud.Property{{Name: "name", Kind: cloud.String, Required: true}}}, true
	}
	return cloud.Schema{}, false
}

const head = "heat_template_version: 2021-04-16\n"

type scope struct {
	params map[string]any
	t      *Template
}

func (s scope) Param(n string) (any, error) {
	v, ok := s.params[n]
	if !ok {
		return nil, ErrPending
	}
	return v, nil
}
func (s scope) Resource(n string) (any, error) { return "id-of-" + n, nil }
func (s scope) Attr(r, a string) (any, error) {
	if r == "absent" {
		return nil, nil
	}
	return map[string]any{"address": r + "-address", "ids": []any{"a", "b"}}[a], nil
}
func (s scope) Condition(n string) (bool, error) {
	for _, c := range s.t.Conditions {
		if c.Name == n {
			return c.Expr.Test(s)
		}
	}
	return false, errors.New("no condition " + n)
}

func TestFunctionsEvaluateAsInHeat(t *testing.T) {
	params := map[string]any{"n": 3.0, "s": "text", "l": []any{"x", "y", "z"}, "m": map[string]any{"k": []any{"deep"}}, "yes": true}
	for _, tc := range []struct {
		name, value string
		want        any
	}{
		{"a literal", `plain`, "plain"},
		{"numbers are floats", `[1, 2.5, 0x10]`, []any{1.0, 2.5, 16.0}},
		{"a date stays a text", `2021-04-16`, "2021-04-16"},
		{"null", `null`, nil},
		{"a map with several keys", `{a: 1, b: {c: d}}`, map[string]any{"a": 1.0, "b": map[string]any{"c": "d"}}},
		{"get_param", `{get_param: s}`, "text"},
		{"get_param with a path", `{get_param: [m, k, 0]}`, "deep"},
		{"get_param with a computed path", `{get_param: [l, "%index%"]}`, "z"},
		{"get_resource", `{get_resource: a}`, "id-of-a"},
		{"get_attr", `{get_attr: [a, address]}`, "a-address"},
		{"get_attr with a path", `{get_attr: [a, ids, 1]}`, "b"},
		{"get_attr of what a condition left out", `{get_attr: [absent, ids, 1]}`, nil},
		{"the index in texts", `node-%index%`, "node-2"},
		{"the index is not replaced in values", `{get_param: raw}`, "%index%"},
		{"str_replace, longest name first and in one pass", `{str_replace: {template: "$a $ab $m", params: {$a: $ab, $ab: {get_param: n}, $m: {get_param: m}}}}`, `$ab 3 {"k":["deep"]}`},
		{"list_join of several lists", `{list_join: ["-", [a, 1, true], {get_param: l}]}`, "a-1-true-x-y-z"},
		{"list_concat leaves out null", `{list_concat: [[1], {get_attr: [absent, ids]}, {get_param: l}]}`, []any{1.0, "x", "y", "z"}},
		{"if with a named condition", `{if: [many, "yes", "no"]}`, "yes"},
		{"if with a condition in place", `{if: [{and: [many, {not: {equals: [{get_param: s}, "text"]}}]}, 1, 2]}`, 2.0},
		{"or stops at the first", `{if: [{or: [true, no-such]}, 1, 2]}`, 1.0},
		{"a number equals its text", `{if: [{equals: [{get_param: n}, "3"]}, 1, 2]}`, 1.0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tpl, err := Parse("t.yaml", head+"conditions:\n  many: {not: {equals: [{get_param: n}, 1]}}\noutputs:\n  o:\n    value: "+tc.value+"\n")
			if err != nil {
				t.Fatal(err)
			}
			ps := map[string]any{"raw": "%index%"}
			for k, v := range params {
				ps[k] = v
			}
			got, err := tpl.Outputs[0].Value.Eval(scope{ps, tpl}, Index{"%index%", "2"})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestEvaluationNamesThePlaceOfAProblem(t *testing.T) {
	for value, want := range map[string]string{
		`{get_param: [l, 7]}`:                           `t.yaml:4: get_param: l has 1 elements, none at "7"`,
		`{get_param: [l, 0, x]}`:                        `element "x" was asked of a string`,
		`{list_join: [",", {get_param: s}]}`:            `a string was given where a list belongs`,
		`{str_replace: {template: [], params: {}}}`:     `template is a list`,
		`{get_attr: [a, {get_param: l}]}`:               `the attribute's name is a list`,
		`{if: [{get_param: s}, 1, 2]}`:                  `text is no boolean`,
		`[{list_join: [{get_param: l}, [a]]}]`:          `the delimiter is a list`,
		`{str_replace: {template: x, params: {"": y}}}`: `params has an empty name`,
	} {
		tpl, err := Parse("t.yaml", head+"outputs:\n  o:\n    value: "+value+"\n")
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		_, err = tpl.Outputs[0].Value.Eval(scope{map[string]any{"l": []any{"a"}, "s": "text"}, tpl}, Index{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "t.yaml:4") {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
	tpl, _ := Parse("t.yaml", head+"outputs:\n  o:\n    value: {list_join: [',', [{get_param: later}]]}\n")
	if _, err := tpl.Outputs[0].Value.Eval(scope{nil, tpl}, Index{}); !errors.Is(err, ErrPending) {
		t.Errorf("pending value: %v", err)
	}
}

func TestBadTemplateIsRefusedWithFileAndLine(t *testing.T) {
	nested := head + "parameters:\n  need: {type: string}\nresources: {}\noutputs:\n  out: {value: 1}\n"
	for _, tc := range []struct{ name, text, want string }{
		{"no version", "resources: {}", "t.yaml:1: heat_template_version is missing"},
		{"old version", "heat_template_version: 2013-05-23", `t.yaml:1: unknown heat_template_version "2013-05-23"`},
		{"bad YAML", head + "a: [", "t.yaml:2"},
		{"an empty file", "", "t.yaml:1"},
		{"two documents", head + "---\na: b\n", "more than one YAML document"},
		{"an unknown section", head + "resource: {}", `t.yaml:2: unknown section "resource"`},
		{"a key twice", head + "resources:\n  a: {type: T::Thing}\n  a: {type: T::Thing}", `t.yaml:4: resources: "a" is there twice`},
		{"an alias", head + "resources:\n  a: {type: T::Thing, properties: {any: &x [1]}}\n  b: {type: T::Thing, properties: {any: *x}}", "t.yaml:4: YAML aliases are not allowed"},
		{"an unknown type", head + "resources:\n  a: {type: OS::No::Such}", `t.yaml:3: resource a: unknown type "OS::No::Such"`},
		{"no type", head + "resources:\n  a: {}", "t.yaml:3: resource a has no type"},
		{"an unknown property", head + "resources:\n  a:\n    type: T::Thing\n    properties:\n      nam: x", `t.yaml:6: resource a: unknown property "nam" (known: name, size, list, map, on, any)`},
		{"a missing property", head + "resources:\n  a: {type: T::Strict}", "t.yaml:3: resource a: property name is required"},
		{"a wrong kind", head + "resources:\n  a:\n    type: T::Thing\n    properties: {size: big}", "t.yaml:5: resource a: property size: big is no number"},
		{"an unknown function", head + "resources:\n  a: {type: T::Thing, properties: {any: {get_file: x}}}", `t.yaml:3: unknown function "get_file"`},
		{"an unknown parameter", head + "resources:\n  a: {type: T::Thing, properties: {any: {get_param: x}}}", `t.yaml:3: get_param: no parameter "x"`},
		{"an unknown resource", head + "resources:\n  a: {type: T::Thing, properties: {any: {get_resource: x}}}", `t.yaml:3: get_resource: no resource "x"`},
		{"an unknown attribute", head + "resources:\n  a: {type: T::Thing}\n  b: {type: T::Thing, properties: {any: {get_attr: [a, x]}}}", `t.yaml:4: get_attr: a (T::Thing) has no attribute "x" (known: address, ids)`},
		{"an unknown output of a nested template", head + "resources:\n  a: {type: n.yaml, properties: {need: x}}\n  b: {type: T::Thing, properties: {any: {get_attr: [a, x]}}}", `t.yaml:4: get_attr: a (n.yaml) has no attribute "x"`},
		{"a missing parameter of a nested template", head + "resources:\n  a: {type: n.yaml}", "t.yaml:3: resource a: property need is required"},
		{"an unknown attribute of a group", head + "resources:\n  a: {type: OS::Heat::ResourceGroup, properties: {resource_def: {type: T::Thing}}}\n  b: {type: T::Thing, properties: {any: {get_attr: [a, resource.0.x]}}}", `t.yaml:4: get_attr: a (T::Thing) has no attribute "x"`},
		{"a group without definition", head + "resources:\n  a: {type: OS::Heat::ResourceGroup}", "t.yaml:3: resource a: property resource_def is required"},
		{"a group of unknown things", head + "resources:\n  a:\n    type: OS::Heat::ResourceGroup\n    properties:\n      resource_def: {type: X}", `t.yaml:6: resource a: unknown type "X"`},
		{"depends_on of nothing", head + "resources:\n  a: {type: T::Thing, depends_on: b}", `t.yaml:3: resource a: depends_on names "b"`},
		{"a cycle", head + "resources:\n  a: {type: T::Thing, depends_on: b}\n  b: {type: T::Thing, properties: {any: {get_resource: a}}}", "t.yaml:3: circular dependency: a -> b -> a"},
		{"a cycle of conditions", head + "conditions:\n  a: {not: b}\n  b: {not: a}", "circular dependency: a -> b -> a"},
		{"an unknown condition", head + "resources:\n  a: {type: T::Thing, condition: x}", `t.yaml:3: no condition "x"`},
		{"a resource in a condition", head + "conditions:\n  a: {equals: [{get_resource: x}, 1]}", "t.yaml:3: get_resource cannot be used in a condition"},
		{"a template in itself", head + "resources:\n  a: {type: t.yaml}", "t.yaml:3: resource a: template t.yaml is nested in itself"},
		{"an unknown type of parameter", head + "parameters:\n  a: {type: int}", `t.yaml:3: parameter a: unknown type "int"`},
		{"a hidden parameter", head + "parameters:\n  a: {type: string, hidden: true}", `t.yaml:3: parameter a: unknown key "hidden"`},
		{"a default against its constraint", head + "parameters:\n  a: {type: number, default: 4, constraints: [{allowed_values: [1, 3]}]}", "t.yaml:3: default of parameter a: allowed are [1,3]"},
		{"an unknown constraint", head + "parameters:\n  a: {type: number, constraints: [{modulo: {step: 2}}]}", `t.yaml:3: parameter a: unknown constraint "modulo"`},
		{"deep nesting", head + "outputs: {o: {value: " + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "}}", "nested deeper than 50"},
		{"if with two branches missing", head + "outputs: {o: {value: {if: [true, 1]}}}", "t.yaml:2: if needs a list of three"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := Load("t.yaml", map[string]string{"t.yaml": tc.text, "n.yaml": nested})
			if err == nil {
				err = b.Validate(schemas)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestParametersAreConvertedAndChecked(t *testing.T) {
	tpl, err := Parse("t.yaml", head+`parameters:
  n: {type: number, default: 1, constraints: [{range: {min: 1, max: 7}, description: one to seven masters}]}
  b: {type: boolean, default: false}
  l: {type: comma_delimited_list, default: "a, b"}
  j: {type: json, default: {a: 1}}
  s: {type: string, constraints: [{length: {min: 2, max: 4}}, {allowed_pattern: "[a-z]+"}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tpl.Resolve(map[string]any{"n": 3, "b": "true", "s": "abc", "j": `{"x":[1]}`})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"n": 3.0, "b": true, "l": []any{"a", "b"}, "j": map[string]any{"x": []any{1.0}}, "s": "abc"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, tc := range []struct {
		given map[string]any
		want  string
	}{
		{map[string]any{}, "t.yaml:7: parameter s is required"},
		{map[string]any{"s": "abc", "x": 1}, "parameter x is not one of this template"},
		{map[string]any{"s": "abc", "n": 9}, "t.yaml:3: parameter n: one to seven masters (its value 9 is outside 1 to 7)"},
		{map[string]any{"s": "abc", "n": "many"}, "parameter n: many is no number"},
		{map[string]any{"s": "abcde"}, "its length 5 is outside 2 to 4"},
		{map[string]any{"s": "AB"}, "it does not match [a-z]+"},
		{map[string]any{"s": "ab", "b": "maybe"}, "maybe is no boolean"},
		{map[string]any{"s": "ab", "j": "{"}, "not JSON"},
		{map[string]any{"s": []any{}}, "a list was given where string belongs"},
	} {
		if _, err := tpl.Resolve(tc.given); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %s", tc.given, err, tc.want)
		}
	}
}

func TestNeedsAreReferencesOfBothBranches(t *testing.T) {
	b, err := Load("t.yaml", map[string]string{"t.yaml": head + `conditions: {c: true}
resources:
  a: {type: T::Thing}
  b: {type: T::Thing}
  c: {type: T::Thing}
  d: {type: T::Thing}
  g:
    type: OS::Heat::ResourceGroup
    depends_on: d
    properties:
      count: 2
      resource_def: {type: T::Thing, properties: {any: {if: [c, {get_resource: a}, {get_attr: [b, {get_attr: [c, address]}]}]}}}
`})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(schemas); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, b.Root.Resource("g").Needs()); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + "resources:\n  a: {type: T::Thing, properties: {any: {if: [{equals: [{get_param: x}, 1]}, {get_attr: [a, b]}, {str_replace: {template: x, params: {a: b}}}]}}}\n")
	f.Add(head + "parameters:\n  a: {type: json, default: {b: [1, 2]}, constraints: [{range: {min: 1}}, {length: {max: 2}}]}\nconditions: {a: {and: [b, {not: c}]}}\noutputs: {x: {value: {list_join: [',', [a]]}, condition: a}}\n")
	for _, name := range []string{"kubecluster.yaml", "kubemaster.yaml", "kubeminion.yaml"} {
		if text, err := os.ReadFile("../templates/" + name); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Load("t.yaml", map[string]string{"t.yaml": text})
		if err != nil {
			return
		}
		if b.Validate(schemas) != nil {
			return
		}
		params, err := b.Root.Resolve(nil)
		if err != nil {
			return
		}
		s := scope{params, b.Root}
		for _, o := range b.Root.Outputs {
			_, _ = o.Value.Eval(s, Index{})
		}
		for _, r := range b.Root.Resources {
			_, _ = r.Properties.Eval(s, Index{"%index%", "0"})
			r.Needs()
		}
	})
}
