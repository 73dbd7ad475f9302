package plan_test

import (
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

func TestAFaultInACheckNamesItsField(t *testing.T) {
	well := plan.Check{Type: plan.CheckEtcd, Endpoint: "http://127.0.0.1:2381"}
	for name, test := range map[string]struct {
		change func(*plan.Plan, *plan.Check)
		path   string // "" for: accepted
	}{
		"well":                    {func(*plan.Plan, *plan.Check) {}, ""},
		"over TLS":                {func(_ *plan.Plan, c *plan.Check) { c.Endpoint, c.CA = "https://127.0.0.1:2381", "/ca.crt" }, ""},
		"https without authority": {func(_ *plan.Plan, c *plan.Check) { c.Endpoint = "https://127.0.0.1:2381" }, "checks[0].ca"},
		"relative certificate":    {func(_ *plan.Plan, c *plan.Check) { c.Certificate = "pki" }, "checks[0].certificate"},
		"relative authority":      {func(_ *plan.Plan, c *plan.Check) { c.CA = "../ca.crt" }, "checks[0].ca"},
		"unknown type":            {func(_ *plan.Plan, c *plan.Check) { c.Type = "shell" }, "checks[0].type"},
		"a peer":                  {func(_ *plan.Plan, c *plan.Check) { c.Endpoint = "http://10.0.0.6:2381" }, "checks[0].endpoint"},
		"no port":                 {func(_ *plan.Plan, c *plan.Check) { c.Endpoint = "http://127.0.0.1" }, "checks[0].endpoint"},
		"a file":                  {func(_ *plan.Plan, c *plan.Check) { c.Endpoint = "file:///etc/passwd" }, "checks[0].endpoint"},
		"twice":                   {func(p *plan.Plan, c *plan.Check) { p.Checks = append(p.Checks, *c) }, "checks[1].type"},
		"too many":                {func(p *plan.Plan, _ *plan.Check) { p.Checks = make([]plan.Check, 9) }, "checks"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good()
			p.Checks = []plan.Check{well}
			test.change(p, &p.Checks[0])
			err := p.Validate()
			switch {
			case test.path == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.path != "" && (!fault.IsTerminal(err) || !strings.Contains(err.Error(), test.path+":")):
				t.Errorf("error %v does not name %s", err, test.path)
			}
		})
	}
}
