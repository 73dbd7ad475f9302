package template

import (
	"fmt"

	"slipway.build/slipway/controlplane/cloud"
)

// Coerce converts a value to the property's kind: texts to numbers and booleans and back.
// A property without a kind takes anything. Null stays null: it means unset.
func Coerce(p cloud.Property, v any) (any, error) {
	v = plain(v)
	if v == nil {
		return nil, nil
	}
	var err error
	ok := true
	switch p.Kind {
	case cloud.String:
		v, ok = text(v)
	case cloud.Number:
		v, err = toNumber(v)
	case cloud.Boolean:
		v, err = toBool(v)
	case cloud.List:
		_, ok = v.([]any)
	case cloud.Map:
		_, ok = v.(map[string]any)
	}
	if err != nil {
		return nil, fmt.Errorf("property %s: %w", p.Name, err)
	}
	if !ok {
		return nil, fmt.Errorf("property %s must be a %s", p.Name, p.Kind)
	}
	return v, nil
}

// Properties evaluates the properties of a resource and gives them their kinds and defaults.
// Properties that are null or not given and have no default are left out; a required one that
// is left out is an error.
func Properties(e *Expr, s cloud.Schema, scope Scope, i Index) (map[string]any, error) {
	out := make(map[string]any, len(s.Properties))
	for _, p := range s.Properties {
		v, err := e.Entry(p.Name).Eval(scope, i)
		if err != nil {
			return nil, err
		}
		if v, err = Coerce(p, v); err != nil {
			return nil, err
		}
		if v == nil {
			v = plain(p.Default)
		}
		if v == nil {
			if p.Required {
				return nil, fmt.Errorf("property %s is required and has no value", p.Name)
			}
			continue
		}
		out[p.Name] = v
	}
	return out, nil
}
