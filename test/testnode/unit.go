package testnode

import (
	"fmt"
	"path"
	"strings"

	"slipway.build/slipway/agent/plan"
)

// agentUnitFile is where the OS layer has the agent's unit.
const agentUnitFile = "/usr/lib/systemd/system/" + plan.AgentUnit

// agentUnit is the unit of an agent that starts again at once.
func agentUnit(arguments string, environment []string) string {
	set := ""
	if len(environment) > 0 {
		set = "Environment=" + strings.Join(environment, " ") + "\n"
	}
	return `[Unit]
Description=Slipway agent under test
StartLimitIntervalSec=0
[Service]
Type=notify
` + set + "ExecStart=" + plan.AgentBinary + " " + arguments + `
Restart=always
RestartSec=10ms
`
}

// Service is the unit of an invented component, which is started after another one. Further lines
// of its service come after the usual ones, which they may override.
func Service(after string, lines ...string) string {
	return fmt.Sprintf(`[Unit]
Description=Invented component
After=%s
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=main
KillMode=mixed
Restart=always
RestartSec=20ms
RestartPreventExitStatus=78
TimeoutStartSec=60s
TimeoutStopSec=2s
%s`, after, strings.Join(lines, ""))
}

// InRoot are the lines of a unit's service that run its component in its image's root, with
// directories of the node bound into it.
func InRoot(unit, image string, binds ...string) string {
	var out strings.Builder
	line := func(option, value string) { fmt.Fprintf(&out, "%s=%s\n", option, value) }
	line("RootDirectory", path.Join(plan.Current, "roots", image))
	line("MountAPIVFS", "yes")
	line("BindReadOnlyPaths", plan.ExecBinary+":"+plan.ExecInRoot)
	line("BindReadOnlyPaths", spec(unit)+":"+plan.SpecInRoot)
	for _, dir := range binds {
		line("BindReadOnlyPaths", dir)
	}
	line("NoNewPrivileges", "yes")
	line("ExecStart", plan.ExecInRoot+" "+plan.SpecInRoot)
	return out.String()
}

// OnHost is the line of a unit's service that runs its component on the node's own root.
func OnHost(unit string) string { return "ExecStart=" + plan.ExecBinary + " " + spec(unit) + "\n" }

func spec(unit string) string { return path.Join(plan.Current, "exec", unit+".json") }
