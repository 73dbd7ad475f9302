package drift

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/units/drive"
)

// suspect is a unit that may run by what was changed; if it was refused because of that, it is
// started.
type suspect struct {
	unit string
	// loaded is set when its unit file was changed and systemd had loaded that.
	loaded bool
	// since is when an exec file or a configuration file was changed: it is restarted if its process
	// began later.
	since syscall.Timespec
	// image is set when a file of an image was changed; it is restarted if its process runs from it.
	image bool
	inode identity
}

// shown compares what the generator shows to systemd with the generation's units. What somebody
// put before the generator's directory is told and never touched: the agent never wrote it.
func (g *Guard) shown() []*Change {
	if len(g.Shown) == 0 {
		return nil
	}
	var out []*Change
	for _, unit := range g.armed.units {
		text, _, err := generator.Shown(g.Generations.Current(), unit)
		if err != nil {
			continue // its file is a change of its own
		}
		path := filepath.Join(g.Shown[0], unit)
		raw, err := os.ReadFile(path)
		if err != nil || string(raw) != text {
			what := "it is not what the generation has"
			if err != nil {
				what = err.Error()
			}
			if g.lasting(path) {
				out = append(out, &Change{path: path, class: units, what: what, shown: true})
			}
		} else {
			delete(g.doubts, path)
		}
		for _, dir := range g.Shown[1:] {
			for _, name := range []string{unit, unit + ".d"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					out = append(out, &Change{path: filepath.Join(dir, name), class: units, what: "it changes or hides the plan's unit; nobody asked for it", foreign: true})
				}
			}
		}
	}
	return out
}

// doubtful is how long something must differ in a directory that systemd empties and fills again at
// each reload.
const doubtful = time.Second

// lasting reports whether something has differed for long enough. If not, it is looked at again.
func (g *Guard) lasting(path string) bool {
	since, known := g.doubts[path]
	if !known {
		if g.doubts == nil {
			g.doubts = map[string]time.Time{}
		}
		since = g.Now()
		g.doubts[path] = since
	}
	return g.Now().Sub(since) >= doubtful
}

// suspectImage suspects the units that use a changed file of an image.
func (g *Guard) suspectImage(change *Change, checked *trust.Checked) {
	rel, err := filepath.Rel(filepath.Join(g.Generations.Dir(g.armed.number), "roots"), change.path)
	if err != nil {
		return
	}
	for _, unit := range checked.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		for _, image := range append([]string{unit.Exec.Image}, unit.Exec.Tools...) {
			if under(rel, image) {
				g.suspects = append(g.suspects, suspect{unit: unit.Name, image: true, inode: change.inode})
			}
		}
	}
}

func under(path, dir string) bool {
	return len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/'
}

// settle has systemd read repaired units, and restarts what runs by something that was changed. It
// is true when that is still to be done.
func (g *Guard) settle(ctx context.Context) bool {
	if !g.reload && len(g.suspects) == 0 {
		return false
	}
	owed := map[string]drive.Action{}
	for _, s := range g.suspects {
		if action := g.verdict(ctx, s); action != "" {
			owed[s.unit] = action
		}
	}
	if g.reload {
		if err := g.Systemd.Reload(ctx); err != nil {
			g.Log.Error("repaired units are not loaded yet", "error", err)
			return true
		}
		g.reload = false
	}
	if len(owed) == 0 {
		g.suspects = nil
		return false
	}
	release, _, ok := g.Turn.Try("units that drift had reached are being restarted", nil)
	if !ok {
		return true
	}
	defer release()
	g.suspects = nil
	var jobs []drive.Job
	for unit, action := range owed {
		if g.limit.stormy(unit, g.Now()) {
			g.Log.Error("a unit runs by something that was changed, and was restarted for that too often", "unit", unit)
			continue
		}
		g.limit.noteRestart(unit, g.Now())
		g.Log.Warn("restarting because of drift", "unit", unit, "action", action)
		jobs = append(jobs, drive.Job{Unit: unit, Action: action})
	}
	slices.SortFunc(jobs, func(a, b drive.Job) int { return strings.Compare(a.Unit, b.Unit) })
	// How the jobs end is told by the units' states.
	if _, err := g.Systemd.Queue(ctx, jobs); err != nil {
		g.Log.Error("units that drift had reached are not restarted", "error", err)
	}
	return false
}

// verdict decides what is to be done about a suspect: nothing, unless it runs by what was changed.
func (g *Guard) verdict(ctx context.Context, s suspect) drive.Action {
	status, err := g.Systemd.Status(ctx, s.unit)
	if err != nil {
		return ""
	}
	switch {
	case status.MainPID == 0 && status.ExitCode == run.ExitRefused && status.Active == "failed":
		return drive.Start
	case status.MainPID == 0:
		return ""
	case s.image:
		if runsFrom(status.MainPID, s.inode) {
			return drive.Restart
		}
	case s.loaded:
		return drive.Restart
	case status.Started.After(time.Unix(s.since.Unix())):
		return drive.Restart
	}
	return ""
}

// loadedChanged reports whether systemd has loaded a changed unit file. A link's target looks to it as
// it did when it read it, as long as that is not repaired; a copy was made anew from what was changed.
func (g *Guard) loadedChanged(ctx context.Context, unit, planned string) bool {
	status, err := g.Systemd.Status(ctx, unit)
	if err != nil || status.Load != "loaded" || len(g.Shown) == 0 {
		return false
	}
	info, err := os.Lstat(filepath.Join(g.Shown[0], unit))
	if err != nil || !info.Mode().IsRegular() {
		return err == nil && !status.Stale
	}
	raw, err := os.ReadFile(filepath.Join(g.Shown[0], unit))
	return err == nil && string(raw) != planned
}

// runsFrom reports whether a unit's supervisor or its child executes a file.
func runsFrom(pid uint32, inode identity) bool {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, process := range append(strings.Fields(string(children)), fmt.Sprint(pid)) {
		info, err := os.Stat("/proc/" + process + "/exe")
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && printOf(stat).identity == inode {
			return true
		}
	}
	return false
}
