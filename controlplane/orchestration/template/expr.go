package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Expr is a value of a template, with functions in it. A nil Expr is null.
type Expr struct {
	pos     Pos
	scalar  any // string, float64, bool or nil
	list    []*Expr
	entries []entry
	kind    exprKind
	// fn is the function of a call, name its first argument where that names something, and
	// list the further arguments.
	fn   string
	name string
}

type exprKind int

const (
	scalarExpr exprKind = iota
	listExpr
	mapExpr
	callExpr
)

type entry struct {
	key   string
	pos   Pos
	value *Expr
}

// Pos returns where the expression stands.
func (e *Expr) Pos() Pos { return e.pos }

// Scope answers what functions ask for.
type Scope interface {
	// Param returns the value of a parameter.
	Param(name string) (any, error)
	// Resource returns the reference id of a resource; nil when its condition is false.
	Resource(name string) (any, error)
	// Attr returns an attribute of a resource; nil when its condition is false.
	Attr(resource, attribute string) (any, error)
	// Condition returns the value of a named condition.
	Condition(name string) (bool, error)
}

// Index is what stands for a member's number in the texts of a group's resource_def.
type Index struct{ Var, Value string }

// Eval returns the value of e. Errors that the scope returns are wrapped with the place.
func (e *Expr) Eval(s Scope, i Index) (any, error) {
	if e == nil {
		return nil, nil
	}
	switch e.kind {
	case listExpr:
		return e.evalList(s, i)
	case mapExpr:
		out := make(map[string]any, len(e.entries))
		for _, en := range e.entries {
			v, err := en.value.Eval(s, i)
			if err != nil {
				return nil, err
			}
			out[i.replace(en.key)] = v
		}
		return out, nil
	case callExpr:
		v, err := e.call(s, i)
		var placed *Error
		if err != nil && !errors.As(err, &placed) && !errors.Is(err, ErrPending) {
			err = fmt.Errorf("%w: %w", &Error{e.pos, e.fn}, err)
		}
		return v, err
	}
	if text, ok := e.scalar.(string); ok {
		return i.replace(text), nil
	}
	return e.scalar, nil
}

// ErrPending is what a Scope returns for a value that is not known yet. Eval passes it on.
var ErrPending = errors.New("not known yet")

func (i Index) replace(s string) string {
	if i.Var == "" {
		return s
	}
	return strings.ReplaceAll(s, i.Var, i.Value)
}

func (e *Expr) evalList(s Scope, i Index) ([]any, error) {
	out := make([]any, 0, len(e.list))
	for _, x := range e.list {
		v, err := x.Eval(s, i)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (e *Expr) call(s Scope, i Index) (any, error) {
	switch e.fn {
	case "get_param":
		v, err := s.Param(e.name)
		if err != nil {
			return nil, err
		}
		return e.descend(v, e.list, s, i)
	case "get_resource":
		return s.Resource(e.name)
	case "get_attr":
		attr, err := e.list[0].Eval(s, i)
		if err != nil {
			return nil, err
		}
		name, ok := attr.(string)
		if !ok {
			return nil, fmt.Errorf("the attribute's name is %s, not a string", kindOf(attr))
		}
		v, err := s.Attr(e.name, name)
		if err != nil || v == nil {
			return nil, err
		}
		return e.descend(v, e.list[1:], s, i)
	case "if":
		yes, err := e.list[0].Test(s)
		if err != nil {
			return nil, err
		}
		if yes {
			return e.list[1].Eval(s, i)
		}
		return e.list[2].Eval(s, i)
	}
	args, err := e.evalList(s, i)
	if err != nil {
		return nil, err
	}
	switch e.fn {
	case "str_replace":
		return strReplace(args[0], args[1])
	case "list_concat":
		return listConcat(args)
	}
	return listJoin(args)
}

// descend follows a path of keys and positions into v.
func (e *Expr) descend(v any, path []*Expr, s Scope, i Index) (any, error) {
	for _, p := range path {
		step, err := p.Eval(s, i)
		if err != nil {
			return nil, err
		}
		key, ok := text(step)
		if !ok {
			return nil, fmt.Errorf("%s: a path is made of names and numbers, not of %s", e.name, kindOf(step))
		}
		switch c := v.(type) {
		case map[string]any:
			if v, ok = c[key]; !ok {
				return nil, fmt.Errorf("%s has no element %q", e.name, key)
			}
		case []any:
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 || n >= len(c) {
				return nil, fmt.Errorf("%s has %d elements, none at %q", e.name, len(c), key)
			}
			v = c[n]
		default:
			return nil, fmt.Errorf("%s: element %q was asked of %s", e.name, key, kindOf(v))
		}
	}
	return v, nil
}

func strReplace(template, params any) (any, error) {
	t, ok := text(template)
	if !ok {
		return nil, fmt.Errorf("template is %s, not a string", kindOf(template))
	}
	m, ok := params.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("params is %s, not a map", kindOf(params))
	}
	// Heat replaces longer names first, all in one pass; so does a Replacer fed in that order.
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, k := range keys {
		if k == "" {
			return nil, errors.New("params has an empty name")
		}
		v, err := printed(m[k])
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, k, v)
	}
	return strings.NewReplacer(pairs...).Replace(t), nil
}

func listJoin(args []any) (any, error) {
	delimiter, ok := text(args[0])
	if !ok {
		return nil, fmt.Errorf("the delimiter is %s, not a string", kindOf(args[0]))
	}
	var parts []string
	for _, a := range args[1:] {
		if a == nil {
			continue
		}
		l, ok := a.([]any)
		if !ok {
			return nil, fmt.Errorf("%s was given where a list belongs", kindOf(a))
		}
		for _, v := range l {
			p, err := printed(v)
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, delimiter), nil
}

func listConcat(args []any) (any, error) {
	out := []any{}
	for _, a := range args {
		l, ok := a.([]any)
		if !ok && a != nil {
			return nil, fmt.Errorf("%s was given where a list belongs", kindOf(a))
		}
		out = append(out, l...)
	}
	return out, nil
}

// printed is the text of a value inside a string: maps and lists as JSON, null as nothing.
func printed(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	if s, ok := text(v); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", kindOf(v), err)
	}
	return string(b), nil
}

// text is the text of a string, number or boolean.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprintf("a %T", v)
}

// Test returns the value of a condition.
func (e *Expr) Test(s Scope) (bool, error) {
	if e == nil {
		return true, nil
	}
	if e.kind != callExpr {
		switch v := e.scalar.(type) {
		case bool:
			return v, nil
		case string:
			return s.Condition(v)
		}
		return false, &Error{e.pos, "not a condition"}
	}
	switch e.fn {
	case "equals":
		a, err := e.list[0].Eval(s, Index{})
		if err != nil {
			return false, err
		}
		b, err := e.list[1].Eval(s, Index{})
		if err != nil {
			return false, err
		}
		return equal(a, b), nil
	case "not":
		v, err := e.list[0].Test(s)
		return !v, err
	case "and", "or":
		for _, x := range e.list {
			v, err := x.Test(s)
			if err != nil {
				return false, err
			}
			if v == (e.fn == "or") {
				return v, nil
			}
		}
		return e.fn == "and", nil
	}
	v, err := e.Eval(s, Index{})
	if err != nil {
		return false, err
	}
	b, err := toBool(v)
	if err != nil {
		return false, &Error{e.pos, err.Error()}
	}
	return b, nil
}

// equal compares as Heat does after parameters have got their types: text of scalars.
func equal(a, b any) bool {
	x, xok := text(a)
	y, yok := text(b)
	if xok && yok {
		return x == y
	}
	xj, xerr := json.Marshal(a)
	yj, yerr := json.Marshal(b)
	return xerr == nil && yerr == nil && string(xj) == string(yj)
}

func toBool(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) { // the words that oslo's strutils knows
		case "true", "t", "yes", "y", "on", "1":
			return true, nil
		case "false", "f", "no", "n", "off", "0":
			return false, nil
		}
	case float64:
		if v == 0 || v == 1 {
			return v == 1, nil
		}
	}
	return false, fmt.Errorf("%v is no boolean", v)
}

// walk calls fn for e and all expressions in it.
func (e *Expr) walk(fn func(*Expr)) {
	if e == nil {
		return
	}
	fn(e)
	for _, x := range e.list {
		x.walk(fn)
	}
	for _, en := range e.entries {
		en.value.walk(fn)
	}
}

// Entry returns the value at key of a map; nil when there is none.
func (e *Expr) Entry(key string) *Expr {
	if e == nil {
		return nil
	}
	for _, en := range e.entries {
		if en.key == key {
			return en.value
		}
	}
	return nil
}

// literal reports the value of an expression without functions in it.
func (e *Expr) literal() (any, bool) { return e.literalAt(Index{}) }

func (e *Expr) literalAt(i Index) (any, bool) {
	constant := true
	e.walk(func(x *Expr) { constant = constant && x.kind != callExpr })
	if !constant {
		return nil, false
	}
	v, err := e.Eval(nil, i)
	return v, err == nil
}
