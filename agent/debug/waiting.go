package debug

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units"
)

// waits collects what the unit waits for now: its own checks, and units that come before it.
func (s *subject) waits(ctx context.Context) {
	if s.status.Active == "active" || s.status.Active == "failed" {
		return
	}
	if exec := s.unit.Exec; exec != nil && s.status.Active == "activating" && s.status.MainPID != 0 {
		probe, kind := exec.Ready, "ready"
		if strings.HasPrefix(s.status.Text, "Waiting") {
			probe, kind = exec.Await, "await"
		}
		if probe != nil {
			s.a.Waits = append(s.a.Waits, Wait{For: kind, On: probe.URL, Last: s.status.Text})
		}
		return // it runs: nothing is ordered before it any more
	}
	before := s.before()
	states, err := s.n.Systemd.States(ctx, before)
	if err != nil {
		return
	}
	for _, name := range before {
		if states[name].Active != "active" {
			s.a.Waits = append(s.a.Waits, Wait{For: "unit", On: name, Last: inWords(states[name])})
		}
	}
}

// before returns the units of the plan that this one needs or is ordered after.
func (s *subject) before() []string {
	parsed, err := units.Parse(s.unit.Name, s.unit.Text)
	if err != nil {
		return nil
	}
	var out []string
	for _, section := range parsed.Sections {
		for _, option := range section.Options {
			if section.Name != "Unit" || !slices.Contains([]string{"After", "Requires", "BindsTo", "Requisite"}, option.Name) {
				continue
			}
			for _, name := range strings.Fields(option.Value) {
				if match(s.f.gen.Plan.Units, name) != nil && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// patience is how long a component that was begun again may take before its readiness is a cause.
const patience = 10 * time.Second

// waiting makes causes of what it waits for.
func (s *subject) waiting(ctx context.Context) {
	for _, wait := range s.a.Waits {
		switch wait.For {
		case "ready":
			if len(s.a.Causes) > 0 && s.n.Now().Sub(s.status.Started) < patience {
				continue // it was begun again just now, and why it ended says more
			}
			s.a.cause("not-ready", fmt.Sprintf("it runs and is not ready: its check %s does not pass: %s", wait.On, wait.Last),
				"read what it does: slipway-agent logs "+s.unit.Name,
				"if its readiness depends on peers, look at them: slipway-agent why there")
		case "await":
			s.a.cause("awaits", fmt.Sprintf("it has not been started: what it needs first, %s, does not answer well: %s", wait.On, wait.Last),
				"look at who should answer there; the unit starts by itself then")
		case "unit":
			s.a.cause("waits-for-unit", fmt.Sprintf("it starts after %s, which is %s%s", wait.On, wait.Last, s.because(ctx, wait.On)),
				"slipway-agent why "+short(wait.On))
		}
	}
}

// because is the root cause of a unit that this one waits for, in one clause.
func (s *subject) because(ctx context.Context, name string) string {
	unit := match(s.f.gen.Plan.Units, name)
	if unit == nil || unit.Name == s.unit.Name {
		return ""
	}
	other := &subject{n: s.n, f: s.f, unit: unit, a: &Answer{Asked: &Asked{}}}
	var err error
	if other.status, err = s.n.Systemd.Status(ctx, name); err != nil {
		return ""
	}
	other.lines = s.n.unitLog(ctx, name)
	other.exit()
	other.loading()
	other.refusal()
	other.ending()
	if len(other.a.Causes) == 0 {
		return ""
	}
	return " because " + other.a.Causes[0].What
}

// masked returns the link that masks a unit.
func masked(unit string) string {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system"} {
		path := filepath.Join(dir, unit)
		if target, err := os.Readlink(path); err == nil && target == "/dev/null" {
			return path + " -> /dev/null"
		}
	}
	return "a link to /dev/null"
}

// names reports whether text names a path or something below it.
func names(text, path string) bool {
	for rest := text; ; {
		i := strings.Index(rest, path)
		if i < 0 {
			return false
		}
		rest = rest[i+len(path):]
		if rest == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@", rune(rest[0])) {
			return true
		}
	}
}

// specText is everything in an exec description that may name a path.
func specText(exec *plan.Exec) string {
	if exec == nil {
		return ""
	}
	parts := slices.Concat(exec.Args, exec.Env)
	for _, mount := range exec.Mounts {
		parts = append(parts, "/"+mount)
	}
	for _, probe := range []*plan.Probe{exec.Await, exec.Ready, exec.Live} {
		if probe != nil {
			parts = append(parts, probe.CA, probe.Certificate)
		}
	}
	return strings.Join(parts, "\n")
}
