package debug

import (
	"context"
	"fmt"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/units/drive"
)

// Why tells in words how a unit came to be as it is: plan, image, digests up to the signed lock,
// state, last exit, the last lines of its log, and what to do.
func (n *Node) Why(ctx context.Context, name string) ([]string, error) {
	g, err := n.current()
	if err != nil {
		return nil, err
	}
	if g == nil {
		return []string{"There is no current generation: the agent has not applied a plan yet. See `slipway-agent status`."}, nil
	}
	unit := match(g.Plan.Units, name)
	if unit == nil {
		return []string{fmt.Sprintf("Generation %d has no unit %s; it has: %s.", g.Number, name, unitNames(g.Plan.Units))}, nil
	}
	lines := []string{fmt.Sprintf("%s is in generation %d (deployment %s), start: %t.", unit.Name, g.Number, g.Plan.Deployment, unit.Start)}
	if unit.Exec != nil {
		lines = append(lines, n.provenance(ctx, unit)...)
	}
	status, err := n.Systemd.Status(ctx, unit.Name)
	if err != nil {
		return nil, err
	}
	lines = append(lines, describe(status)...)
	if unit.Exec != nil {
		spec := g.Specs[unit.Name]
		lines = append(lines, awaited(status, &spec)...)
	}
	if status.Active != "active" {
		lines = append(lines, "Last lines of its log:")
		for line := range strings.Lines(n.Logs(ctx, unit.Name, 10)) {
			lines = append(lines, "  "+strings.TrimRight(line, "\n"))
		}
	}
	return lines, nil
}

func match(units []plan.Unit, name string) *plan.Unit {
	for i, unit := range units {
		short := strings.TrimPrefix(strings.TrimSuffix(unit.Name, ".service"), "slipway-")
		if name == unit.Name || name == short || name+".service" == unit.Name {
			return &units[i]
		}
	}
	return nil
}

func unitNames(units []plan.Unit) string {
	var names []string
	for _, unit := range units {
		names = append(names, unit.Name)
	}
	return strings.Join(names, ", ")
}

// provenance follows the unit's binary up to the signed lock.
func (n *Node) provenance(ctx context.Context, unit *plan.Unit) []string {
	checked, err := n.checked(ctx)
	if err != nil {
		return []string{"Its plan does not hold any more: " + err.Error()}
	}
	platform := checked.Platforms[unit.Exec.Image]
	file, _ := platform.File(unit.Exec.Binary)
	lines := []string{
		fmt.Sprintf("It runs %s of image %s, manifest %s.", unit.Exec.Binary, unit.Exec.Image, platform.Manifest),
		fmt.Sprintf("The signed lock %s names it with sha256 %s.", checked.Plan.Lock, file.SHA256),
	}
	if entry, ok := checked.Lock.ByName(unit.Exec.Image); ok && entry.Source.Module != "" {
		lines = append(lines, fmt.Sprintf("It was built from %s %s (%s) with %s.", entry.Source.Module, entry.Source.Version, entry.Source.Sum, checked.Lock.Toolchain))
	}
	return lines
}

func describe(status drive.Status) []string {
	line := fmt.Sprintf("systemd: %s, %s (%s); %d restarts.", status.Load, status.Active, status.Sub, status.Restarts)
	if status.Result != "" && status.Result != "success" {
		line += fmt.Sprintf(" Its last run ended as %s, status %d.", status.Result, status.ExitCode)
	}
	lines := []string{line}
	if status.Load == "not-found" {
		lines = append(lines, "systemd does not see it: run `systemctl daemon-reload`; if that does not help, the generator of the OS layer is missing.")
	}
	return lines
}

// awaited says which check a unit that is not ready waits for, and what refusals mean.
func awaited(status drive.Status, spec *run.Spec) []string {
	var lines []string
	if status.ExitCode == run.ExitRefused && status.Active != "active" {
		lines = append(lines, "Exit status 78: slipway-agent refused to start it; the log says what differs. `slipway-agent verify` compares all of it.")
	}
	if status.Active == "activating" && spec.Ready != nil {
		lines = append(lines, fmt.Sprintf("It is started and not ready: %s does not answer well yet.", spec.Ready.URL))
	}
	return lines
}
