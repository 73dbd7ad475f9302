package drift

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
)

// check looks at everything and does what the plan wants done about what it finds. It is true when
// something is left that should be tried again.
func (g *Guard) check(ctx context.Context) bool {
	if g.armed == nil {
		return false
	}
	if number, err := g.Generations.CurrentNumber(); err != nil || number != g.armed.number {
		return g.swapped()
	}
	var mend, told []*Change
	for _, change := range append(g.changes(), g.shown()...) {
		switch policy := policyOf(g.armed.drift, change.class); {
		case policy == plan.DriftIgnore:
		case policy == plan.DriftReport || change.foreign:
			told = append(told, change)
		case g.limit.contested(change.path, g.Now()):
			change.what += "; somebody changes it again and again, so it is left for a while"
			told = append(told, change)
		default:
			mend = append(mend, change)
		}
	}
	left := g.mend(ctx, mend)
	again := g.settle(ctx) || len(left) > 0 || len(g.doubts) > 0
	g.report(append(told, left...))
	return again
}

// changes compares everything of the generation.
func (g *Guard) changes() []*Change {
	var out []*Change
	known := map[string]bool{}
	for _, w := range g.armed.wants {
		known[w.path] = true
		if change := g.armed.look(w); change != nil {
			out = append(out, change)
		}
	}
	base := g.Generations.Dir(g.armed.number)
	for dir := range g.armed.dirs {
		if dir == base || strings.HasPrefix(dir, base+"/") {
			out = append(out, g.strangers(base, dir, known)...)
		}
	}
	return out
}

// strangers are files in a directory of the generation that no plan brought. Empty ones and
// directories are systemd's, to mount something on.
func (g *Guard) strangers(base, dir string, known map[string]bool) []*Change {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // that it is gone is a change of its own
	}
	var out []*Change
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if known[path] || g.armed.dirs[path] || entry.IsDir() || durable.IsTemporary(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil || info.Mode().IsRegular() && info.Size() == 0 {
			continue
		}
		change := &Change{path: path, class: files, what: "nobody asked for this " + strings.TrimPrefix(kind(info.Mode()), "a ")}
		switch top, _, _ := strings.Cut(strings.TrimPrefix(path, base+"/"), "/"); top {
		case "units":
			change.class = units
		case "exec":
			change.class = execs
		case "roots":
			change.class = binaries
		}
		out = append(out, change)
	}
	return out
}

// swapped deals with a link to the current generation that no longer names the guarded one. While
// somebody has the turn that is the applier's work; otherwise nobody of ours did it.
func (g *Guard) swapped() bool {
	release, _, ok := g.Turn.Try("the link to the current generation is being put right", nil)
	if !ok {
		return true
	}
	defer release()
	number, err := g.Generations.CurrentNumber()
	if err == nil && number == g.armed.number {
		return true // just put right
	}
	entries, journalErr := g.Journal.Entries()
	if journalErr != nil || len(entries) == 0 {
		return true
	}
	for _, entry := range entries {
		left := entry.Generation == g.armed.number && entry.Step != journal.Confirmed
		if left || entry.Generation > g.armed.number && entry.Step != journal.Abandoned {
			g.disarm() // it was left by an application
			g.Rearm()
			return false
		}
	}
	change := &Change{path: g.Generations.Current(), class: units, what: "it does not name the confirmed generation"}
	if policy := policyOf(g.armed.drift, units); policy == plan.DriftIgnore {
		return false
	} else if policy == plan.DriftReport || g.limit.contested(change.path, g.Now()) {
		g.report([]*Change{change})
		return false
	}
	g.limit.note(change.path, g.Now())
	if info, err := os.Lstat(change.path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		if err := g.aside(change.path); err != nil {
			g.Log.Error("the link to the current generation cannot be put right", "error", err)
			return true
		}
	}
	if err := g.Generations.Switch(g.armed.number); err != nil {
		g.Log.Error("the link to the current generation cannot be put right", "error", err)
		return true
	}
	g.tally.repaired(change, g.Now())
	g.Log.Warn("drift repaired", "change", change.String())
	g.reload = true
	return true
}
