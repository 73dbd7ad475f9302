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
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/agent/unitlog"
	"slipway.build/slipway/units/drive"
)

// unitLines is how much of a unit's log is looked at.
const unitLines = 400

// subject is a unit that is explained.
type subject struct {
	n      *Node
	f      *facts
	unit   *plan.Unit
	status drive.Status
	lines  []unitlog.Line // of the unit, the oldest first
	window []unitlog.Line // of its last run that ended, or of the one that is under way
	a      *Answer
}

func (n *Node) whyUnit(ctx context.Context, f *facts, unit *plan.Unit) *Answer {
	a := &Answer{Subject: unit.Name, Kind: KindUnit, Asked: n.asked(f)}
	a.Asked.Start = unit.Start
	s := &subject{n: n, f: f, unit: unit, a: a}
	var err error
	if s.status, err = n.Systemd.Status(ctx, unit.Name); err != nil {
		a.State = "unknown"
		a.cause("systemd-away", err.Error(), "run it as root on the node itself")
	} else {
		a.State, a.Unit = inWords(s.status.State), unitOf(s.status)
	}
	if s.lines, err = n.Lines(ctx, unitlog.Query{Units: []string{unit.Name}, Lines: unitLines}); err != nil {
		a.cause("log-unreadable", err.Error(), "look at journald: systemctl status systemd-journald")
	}
	if unit.Exec != nil {
		if image, ok := imageOf(f.gen.Plan, unit.Exec.Image); ok {
			a.Image = n.origin(f, image)
		}
	}
	s.exit()
	s.waits(ctx)
	s.causes(ctx)
	if len(a.Causes) > 0 || s.status.Active != "active" {
		a.Log = matter(s.window)
	}
	return a
}

func unitOf(s drive.Status) *Unit {
	return &Unit{
		Load: s.Load, Active: s.Active, Sub: s.Sub, Since: s.Since, Restarts: s.Restarts, MainPID: s.MainPID,
		Text: s.Text, Fragment: s.Fragment, DropIns: s.DropIns,
	}
}

// causes asks everything that may be wrong; what explains the most comes first.
func (s *subject) causes(ctx context.Context) {
	s.loading()
	s.refusal()
	s.identities()
	s.n.diskFull(s.a)
	s.ending()
	s.waiting(ctx)
	if s.f.checkErr != nil {
		s.n.chainBroken(s.f, s.a)
	}
	s.f.abandoned(s.a, s.unit)
	if s.unit.Start && s.status.Load == "loaded" && s.status.Active == "inactive" && len(s.a.Causes) == 0 {
		s.a.cause("stopped", "it was stopped by somebody, the plan wants it to run", "start it: systemctl start "+s.unit.Name,
			"the agent starts it at its next plan, or when it starts itself")
	}
}

func (s *subject) has(code string) bool {
	return slices.ContainsFunc(s.a.Causes, func(c Cause) bool { return c.Code == code })
}

// loading compares what systemd loaded with what the plan says.
func (s *subject) loading() {
	path := filepath.Join(s.n.store().Current(), "units", s.unit.Name)
	switch s.status.Load {
	case "masked":
		s.a.cause("masked", fmt.Sprintf("somebody masked it: %s stands for the plan's unit, so systemd never starts it", masked(s.unit.Name)),
			"undo it: systemctl unmask "+s.unit.Name+" (or --runtime), then systemctl start "+s.unit.Name)
		return
	case "not-found":
		s.a.cause("not-loaded", "systemd does not see the unit, though the current generation has it",
			"have systemd read it: systemctl daemon-reload", "if that does not help, the generator of the OS layer is missing: ls -l /usr/lib/systemd/system-generators/")
		return
	case "error", "bad-setting":
		s.a.cause("unit-broken", "systemd cannot load the unit: "+s.status.Load, "see what it stumbles over: systemd-analyze verify "+path)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != s.unit.Text {
		found := "it was edited"
		if err != nil {
			found = err.Error()
		}
		s.a.cause("unit-edited", fmt.Sprintf("the unit file is not what the plan says: %s: %s", path, found),
			"compare: slipway-agent verify", "the agent repairs it when it runs: systemctl status "+plan.AgentUnit)
	}
	if from := s.status.Fragment; from != "" && !strings.Contains(from, "/generator") && !strings.HasPrefix(from, s.n.Root) {
		s.a.cause("unit-overridden", fmt.Sprintf("systemd runs it from %s, which hides the plan's unit", from), "remove that file, then: systemctl daemon-reload")
	}
	if len(s.status.DropIns) > 0 {
		s.a.cause("drop-ins", "drop-ins that no plan asked for change the unit: "+strings.Join(s.status.DropIns, ", "),
			"see their effect: systemctl cat "+s.unit.Name, "remove them (systemctl revert "+s.unit.Name+") and ask for the change in the cluster's template")
	}
}

// refusal says what slipway-exec did not want to start.
func (s *subject) refusal() {
	if s.unit.Exec == nil {
		return
	}
	if s.a.Image != nil {
		broken := *s.a.Image
		broken.Broken = ""
		part := &Answer{Image: &broken}
		s.n.imageCauses(s.f, part)
		s.a.Causes = append(s.a.Causes, part.Causes...)
	}
	spec, err := run.ReadSpec(filepath.Join(s.n.store().Current(), "exec", s.unit.Name+".json"))
	if err != nil {
		s.a.cause("exec-file", "its exec file cannot be used: "+err.Error(), "the agent repairs it when it runs: systemctl status "+plan.AgentUnit)
		return
	}
	if spec.State != nil && spec.Filled {
		sentinel := filepath.Join(spec.State.Dir, spec.State.Sentinel)
		if _, err := os.Lstat(sentinel); os.IsNotExist(err) {
			s.a.cause("state-lost", fmt.Sprintf("its data are gone: %s is missing, though the unit was healthy with it before; it is not started, because it would begin anew under an old name", sentinel),
				"bring the data back, then: systemctl restart "+s.unit.Name, "or have the control plane replace this member")
		}
	}
	refused := s.a.Exit != nil && s.a.Exit.Kind == "exited" && s.a.Exit.Status == fmt.Sprint(run.ExitRefused)
	if refused && s.status.MainPID == 0 && len(s.a.Causes) == 0 {
		s.a.cause("refused", "slipway-exec refused to start it: "+s.lastWord(), "compare the whole node: slipway-agent verify", "then: systemctl restart "+s.unit.Name)
	}
}

// lastWord is the last line that says what went wrong.
func (s *subject) lastWord() string {
	for i := len(s.window) - 1; i >= 0; i-- {
		line := s.window[i]
		if line.By != "systemd" && telling(line) {
			return strings.TrimSpace(line.Message)
		}
	}
	for i := len(s.window) - 1; i >= 0; i-- {
		if s.window[i].By != "systemd" {
			return strings.TrimSpace(s.window[i].Message)
		}
	}
	return "it said nothing"
}

// ago says how long ago something was.
func (s *subject) ago(t time.Time) string {
	if t.IsZero() {
		return "some time ago"
	}
	return s.n.Now().Sub(t).Round(time.Second).String() + " ago"
}
