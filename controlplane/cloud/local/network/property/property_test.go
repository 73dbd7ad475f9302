package property_test

import (
	"strings"
	"testing"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/fault"
)

func TestDecode(t *testing.T) {
	schema := cloud.Schema{Properties: []cloud.Property{
		{Name: "cidr", Kind: cloud.String, Required: true},
		{Name: "port", Kind: cloud.Number, Default: 6443},
		{Name: "names", Kind: cloud.List},
	}}
	for name, c := range map[string]struct {
		properties map[string]any
		port       property.Int
		fails      string
	}{
		"defaults are filled in":                   {map[string]any{"cidr": "x"}, 6443, ""},
		"a number may be a string":                 {map[string]any{"cidr": "x", "port": "80"}, 80, ""},
		"null counts as missing":                   {map[string]any{"cidr": "x", "port": nil}, 6443, ""},
		"a missing property is named":              {map[string]any{}, 0, "property cidr is missing"},
		"an unknown property is named":             {map[string]any{"cidr": "x", "vlan": 1}, 0, "unknown property vlan"},
		"a property of the wrong kind is named":    {map[string]any{"cidr": []any{"x"}}, 0, "cidr"},
		"a number that is none is an error":        {map[string]any{"cidr": "x", "port": "http"}, 0, "whole number"},
		"a wrong kind within a list is an error":   {map[string]any{"cidr": "x", "names": []any{1}}, 0, "names"},
		"a map in place of a list is an error too": {map[string]any{"cidr": "x", "names": map[string]any{}}, 0, "names"},
	} {
		t.Run(name, func(t *testing.T) {
			var v struct {
				CIDR  string       `json:"cidr"`
				Port  property.Int `json:"port"`
				Names []string     `json:"names"`
			}
			err := property.Decode(cloud.Request{Name: "r", Properties: c.properties}, schema, &v)
			if c.fails == "" {
				if err != nil || v.Port != c.port {
					t.Errorf("got %v, %v", v, err)
				}
				return
			}
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %v, want a terminal fault with %q", err, c.fails)
			}
		})
	}
}
