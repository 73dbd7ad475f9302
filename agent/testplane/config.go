package testplane

import (
	"fmt"
	"strings"
)

// AgentConfig is the configuration with which a node joins this control plane, as Ignition writes
// it.
func (p *Plane) AgentConfig(node string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "controlPlane: %s\nnode: %s\ntoken: %s\nca: |\n", p.URL, node, Token)
	for line := range strings.Lines(p.CA) {
		out.WriteString("  " + line)
	}
	return out.String()
}
