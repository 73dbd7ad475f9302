//go:build e2e

package e2e

import (
	"testing"

	"slipway.build/slipway/components/isolation"
	"slipway.build/slipway/test/harness"
)

// isolated checks what the kernel says of every component's process on both nodes: design.md,
// section 3.
func (s *system) isolated(t *testing.T) {
	for _, n := range s.nodes() {
		for _, e := range isolation.Expected(n.Master()) {
			p := component(t, n, e)
			supervisor, err := isolation.Read(p.Parent)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range e.Faults(p, supervisor) {
				t.Errorf("%s on %s: %s", e.Component, n.Name, fault)
			}
		}
	}
}

// component returns the component's process on the node: others of its name are in other units.
func component(t *testing.T, n harness.Server, e isolation.Expectation) *isolation.Process {
	t.Helper()
	for _, pid := range n.Processes(t, e.Component) {
		if p, err := isolation.Read(pid); err == nil && p.Unit() == e.Unit() {
			return p
		}
	}
	t.Fatalf("no process %s on %s", e.Component, n.Name)
	return nil
}
