package drift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/trust"
)

func fileMode(mode uint32) fs.FileMode { return fs.FileMode(mode) }

// mend puts changes right and returns those that it could not.
func (g *Guard) mend(ctx context.Context, changes []*Change) []*Change {
	if len(changes) == 0 {
		return nil
	}
	checked, items, err := g.source()
	if err != nil {
		for _, change := range changes {
			change.what += "; " + err.Error()
		}
		return changes
	}
	// Directories before what is in them.
	slices.SortFunc(changes, func(a, b *Change) int { return len(a.path) - len(b.path) })
	var left, images []*Change
	for _, change := range changes {
		if change.want != nil && change.want.isLink() && change.content {
			images = append(images, change)
			continue
		}
		g.limit.note(change.path, g.Now())
		g.suspectUnit(ctx, change, checked)
		if err := g.mendOne(change, items); err != nil {
			change.what += "; it cannot be repaired: " + err.Error()
			left = append(left, change)
			continue
		}
		g.mended(change, checked)
	}
	if len(images) > 0 {
		left = append(left, g.mendImages(ctx, images, checked)...)
	}
	g.watch() // of directories that were made anew
	return left
}

// mendOne puts one change right that is not in an image's file.
func (g *Guard) mendOne(change *Change, items map[string]generation.Item) error {
	w := change.want
	switch {
	case change.shown:
		return nil // systemd's reload makes it anew
	case w == nil:
		return g.aside(change.path)
	case !change.content:
		return attributes(w)
	case w.opaque:
		return errors.New("the agent makes it anew with its next plan, or when it starts again")
	case w.isDir():
		if err := g.clear(change); err != nil {
			return err
		}
		return durable.MkdirAll(w.path, w.mode.Perm())
	}
	item, ok := items[w.path]
	if !ok {
		return errors.New("the plan has no such file")
	}
	if policyOf(g.armed.drift, w.class) == plan.DriftQuarantine || special(w.path) {
		if err := g.clear(change); err != nil {
			return err
		}
	}
	if err := durable.MkdirAll(filepath.Dir(w.path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(w.path, item.Content, item.Mode.Perm())
}

// special reports whether something else than a file stands in a file's place.
func special(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && !info.Mode().IsRegular()
}

// clear moves what is in the way aside, if there is something.
func (g *Guard) clear(change *Change) error {
	if _, err := os.Lstat(change.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return g.aside(change.path)
}

// attributes gives a file the mode and the owner that it should have.
func attributes(w *want) error {
	file, err := os.OpenFile(w.path, os.O_RDONLY|openNoFollow, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	mode := w.mode.Perm()
	if w.isLink() {
		mode = info.Mode().Perm() &^ 0o222
	}
	return errors.Join(file.Chown(w.owner, -1), file.Chmod(mode), file.Sync())
}

// mended notes what a repair asks of systemd.
func (g *Guard) mended(change *Change, checked *trust.Checked) {
	g.tally.repaired(change, g.Now())
	g.Log.Warn("drift repaired", "change", change.String())
	if change.shown || change.class == units && change.want == nil {
		g.reload = true
		return
	}
	if !change.content {
		return
	}
	gen := g.Generations.Of(checked)
	base := g.Generations.Dir(g.armed.number)
	rel, err := filepath.Rel(base, change.path)
	if err != nil {
		return
	}
	switch change.class {
	case units:
		g.reload = true
	case execs:
		if unit, ok := unitOfExec(rel); ok {
			g.suspects = append(g.suspects, suspect{unit: unit, since: change.since})
		}
	case files:
		if name, err := filepath.Rel("files", rel); err == nil {
			for _, unit := range gen.Using(name) {
				g.suspects = append(g.suspects, suspect{unit: unit, since: change.since})
			}
		}
	}
}

// suspectUnit notes, before a unit file is repaired, whether systemd had loaded it.
func (g *Guard) suspectUnit(ctx context.Context, change *Change, checked *trust.Checked) {
	if change.class != units || !change.content || filepath.Base(filepath.Dir(change.path)) != "units" {
		return
	}
	name := filepath.Base(change.path)
	for _, unit := range checked.Plan.Units {
		if unit.Name == name && g.loadedChanged(ctx, name, generator.Text(unit.Text, g.Generations.Current())) {
			g.suspects = append(g.suspects, suspect{unit: name, loaded: true})
		}
	}
}

// unitOfExec returns the unit whose exec file that is.
func unitOfExec(rel string) (string, bool) {
	const suffix = ".json"
	name := filepath.Base(rel)
	if filepath.Dir(rel) != "exec" || filepath.Ext(name) != suffix {
		return "", false
	}
	return name[:len(name)-len(suffix)], true
}

// kept bounds what is kept aside.
const kept = 16

// asideDir is where things are moved that must not be where they were.
func (g *Guard) asideDir() string { return filepath.Join(g.Generations.Root, "quarantine") }

// aside moves something out of sight, where nobody can execute it, and forgets the oldest.
func (g *Guard) aside(path string) error {
	dir := g.asideDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s", g.Now().UTC().Format("20060102T150405.000000000"), filepath.Base(path))
	to := filepath.Join(dir, name)
	if err := os.Rename(path, to); err != nil {
		return err
	}
	if info, err := os.Lstat(to); err == nil && info.Mode().IsRegular() {
		if err := os.Chmod(to, 0o400); err != nil {
			return err
		}
	}
	g.Log.Warn("moved aside", "path", path, "to", to)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for len(entries) > kept { // by name, so by age
		if err := os.RemoveAll(filepath.Join(dir, entries[0].Name())); err != nil {
			return err
		}
		entries = entries[1:]
	}
	return nil
}
