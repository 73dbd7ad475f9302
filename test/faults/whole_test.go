package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/status"
)

// whole checks that the node runs generation s and nothing else, says so, and that nothing is left
// of any other but of the one before, which is kept.
func (w *world) whole(s, previous *shape) error {
	if err := w.runs(s); err != nil {
		return err
	}
	if err := tree(w.node.State("")).tidy(both(s, previous)...); err != nil {
		return err
	}
	if err := w.says(s); err != nil {
		return err
	}
	return w.alone()
}

// alone checks that the agent is the only process of its unit, and that nothing is mounted for good.
func (w *world) alone() error {
	if left := w.node.Processes("slipway-agent.service"); len(left) != 1 {
		return fmt.Errorf("%d processes in the agent's unit", len(left))
	}
	return w.mounts()
}

// runs checks the current link, the files, the units as systemd has loaded them, and the running
// processes.
func (w *world) runs(s *shape) error {
	d := tree(w.node.State(""))
	number, err := d.current()
	if err != nil {
		return err
	}
	if number != s.number {
		return fmt.Errorf("current is generation %d, want %d", number, s.number)
	}
	if err := d.holds(s); err != nil {
		return err
	}
	_, gone := s.only()
	if left := w.node.Processes(gone); len(left) != 0 {
		return fmt.Errorf("%s is gone and has %d processes", gone, len(left))
	}
	for _, unit := range s.plan.Units {
		if err := w.unit(s, unit.Name); err != nil {
			return fmt.Errorf("%s: %w", unit.Name, err)
		}
	}
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	state, err := w.systemd.GetUnitPropertyContext(ctx, gone, "ActiveState")
	if err != nil || state.Value.Value() != "inactive" {
		return fmt.Errorf("%s is gone and %v (%w)", gone, state, err)
	}
	return nil
}

func (w *world) unit(s *shape, name string) error {
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	properties, err := w.systemd.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return err
	}
	for property, want := range map[string]any{"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NeedDaemonReload": false} {
		if properties[property] != want {
			return fmt.Errorf("%s is %v, want %v", property, properties[property], want)
		}
	}
	text := unitOf(s.plan, name).Text
	fragment, _ := properties["FragmentPath"].(string)
	shown, err := os.ReadFile(filepath.Join(fmt.Sprintf("/proc/%d/root", w.node.Leader()), fragment))
	if err != nil {
		// A link to the text in the agent's directory, which this mount name space has elsewhere.
		shown = []byte(text)
	}
	if resolved := strings.ReplaceAll(string(shown), fmt.Sprintf("/generations/%d/", s.number), "/current/"); resolved != text {
		return fmt.Errorf("systemd has %q, the plan says %q", shown, text)
	}
	if id := fmt.Sprint(properties["InvocationID"]); name == steady {
		if w.steadyID == "" {
			w.steadyID = id
		}
		if w.steadyID != id {
			w.steadyID = ""
			return errors.New("it was restarted, though it is the same in all plans")
		}
	}
	return w.process(s, name)
}

// process checks that the unit's component runs from the bytes that the lock names, with the
// plan's arguments.
func (w *world) process(s *shape, name string) error {
	exec := unitOf(s.plan, name).Exec
	file, _ := s.images[exec.Image].Platform().File(exec.Binary)
	var found []string
	supervisors := 0
	for _, pid := range w.node.Processes(name) {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			return err
		}
		args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
		if path.Base(args[0]) == path.Base(plan.ExecBinary) {
			supervisors++
			continue
		}
		binary, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(binary)
		if err := errors.Join(err, binary.Close()); err != nil {
			return err
		}
		if !slices.Equal(args[1:], exec.Args) || sum(raw) != file.SHA256 {
			return fmt.Errorf("runs %q of sha256 %s, want %q of %s", args[1:], sum(raw), exec.Args, file.SHA256)
		}
		found = append(found, args[0])
	}
	if len(found) != 1 || supervisors != 1 {
		return fmt.Errorf("%d components and %d supervisors run in it", len(found), supervisors)
	}
	return nil
}

// says checks what the agent tells of itself: its journal, its outbox, its status and the signals
// that the control plane has.
func (w *world) says(s *shape) error {
	entries, queued, err := memory(w.node.State(""))
	if err != nil {
		return err
	}
	if len(queued) > 0 {
		return fmt.Errorf("%d signals are still in the outbox", len(queued))
	}
	for _, entry := range entries {
		switch {
		case entry.Generation == s.number && entry.Step != journal.Confirmed:
			return fmt.Errorf("the journal has generation %d as %s", s.number, entry.Step)
		case entry.Generation > s.number && entry.Step != journal.Abandoned:
			return fmt.Errorf("the journal has generation %d as %s", entry.Generation, entry.Step)
		case len(entry.Jobs) > 0:
			return fmt.Errorf("the journal has jobs left: %v", entry.Jobs)
		}
	}
	st, err := w.status()
	if err != nil {
		return err
	}
	newest := entries[len(entries)-1]
	if st.Generation != newest.Generation && st.Generation != s.number && st.Generation != 0 {
		return fmt.Errorf("the status speaks of generation %d", st.Generation)
	}
	if w.forgotten == s {
		return w.toldRest(s)
	}
	return w.told(s, protocol.Joined, protocol.Staged, protocol.Switched, protocol.Healthy)
}

// told checks that the control plane has these signals about a plan, each once, in this order,
// and no others.
func (w *world) told(s *shape, phases ...protocol.Phase) error {
	if got := w.phases(s); !slices.Equal(got, phases) {
		return fmt.Errorf("the control plane was told %v of generation %d, want %v", got, s.number, phases)
	}
	return nil
}

func (w *world) phases(s *shape) []protocol.Phase {
	var got []protocol.Phase
	for _, signal := range w.plane.Signals() {
		if signal.Deployment == s.deployment && signal.Progress == nil {
			got = append(got, signal.Phase)
		}
	}
	return got
}

func (w *world) signal(s *shape, phase protocol.Phase) protocol.Signal {
	for _, signal := range w.plane.Signals() {
		if signal.Deployment == s.deployment && signal.Phase == phase && signal.Progress == nil {
			return signal
		}
	}
	return protocol.Signal{}
}

func (w *world) status() (*status.Status, error) {
	leader := w.node.Leader()
	return status.Read(fmt.Sprintf("/proc/%d/root%s", leader, status.Path))
}

// memory reads a copy of the journal, because the agent holds the file.
func memory(root string) ([]journal.Entry, []journal.Queued, error) {
	dir, err := os.MkdirTemp("", "slipt-journal-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	raw, err := os.ReadFile(filepath.Join(root, "state", "journal.db"))
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), raw, 0o600); err != nil {
		return nil, nil, err
	}
	j, err := journal.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	entries, err := j.Entries()
	queued, err2 := j.Queue(1000)
	if err := errors.Join(err, err2, j.Close()); err != nil {
		return nil, nil, err
	}
	if len(entries) == 0 {
		return nil, nil, errors.New("the journal is empty")
	}
	return entries, queued, nil
}

// mounts checks that nothing is mounted below the agent's directory in the node itself.
func (w *world) mounts() error {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", w.node.Leader()))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], "/var/lib/slipway/") {
			return fmt.Errorf("%s is still mounted", fields[4])
		}
	}
	return nil
}
