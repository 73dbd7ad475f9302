// Package property turns the property map of a request into a typed value, strictly: what the
// schema does not list, what is required and missing, and what has the wrong kind is a terminal
// fault that names the property.
package property

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
)

// Int is a whole number that templates may also write as a string of digits.
type Int int

// UnmarshalJSON accepts 6443 and "6443".
func (i *Int) UnmarshalJSON(data []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(data), `"`))
	if err != nil {
		return fmt.Errorf("%s is not a whole number", data)
	}
	*i = Int(n)
	return nil
}

// Decode fills into, a pointer to a struct with JSON names, from the request's properties and
// the schema's defaults. A property that is null counts as missing.
func Decode(req cloud.Request, schema cloud.Schema, into any) error {
	given := map[string]any{}
	known := map[string]bool{}
	for _, p := range schema.Properties {
		known[p.Name] = true
		v := req.Properties[p.Name]
		if v == nil {
			v = p.Default
		}
		if v == nil || v == "" {
			if p.Required {
				return fault.Terminalf("resource %s: property %s is missing", req.Name, p.Name)
			}
			continue
		}
		given[p.Name] = v
	}
	for name := range req.Properties {
		if !known[name] {
			return fault.Terminalf("resource %s: unknown property %s", req.Name, name)
		}
	}
	for name, v := range given {
		data, err := json.Marshal(map[string]any{name: v})
		if err != nil {
			return fault.Terminalf("resource %s: property %s: %w", req.Name, name, err)
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			return fault.Terminalf("resource %s: property %s: %w", req.Name, name, err)
		}
	}
	return nil
}
