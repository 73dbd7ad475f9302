package drift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/trust"
)

const openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// pullLimit bounds one attempt at fetching images anew; what is guarded waits for it.
const pullLimit = 10 * time.Second

// mendImages puts files of images right. A file in the store that is not what the lock names is
// moved aside under all its names, fetched anew and linked to where it was; a generation whose link
// alone was changed gets it back from the store.
func (g *Guard) mendImages(ctx context.Context, changes []*Change, checked *trust.Checked) []*Change {
	release, holder, ok := g.Turn.Try("files of images are being repaired", nil)
	names := map[identity][]string{}
	for _, change := range changes {
		if change.inode != (identity{}) && names[change.inode] == nil {
			names[change.inode] = g.names(change.inode)
		}
	}
	// Never started again, whatever comes after: this needs nobody's turn.
	for _, change := range changes {
		for _, name := range append(names[change.inode], change.path) {
			if err := g.hide(name, change); err != nil {
				g.Log.Error("a changed file of an image cannot be moved aside", "path", name, "error", err)
			}
		}
	}
	if !ok {
		return waiting(changes, "it is fetched anew when "+holder+" is over")
	}
	defer release()
	var wants []pull.Want
	for _, image := range checked.Plan.Images {
		if image.Import == "" {
			wants = append(wants, pull.Want{
				Name: image.Name, Repository: image.Repository, Manifest: image.Digest, Locked: checked.Platforms[image.Name], Root: true,
			})
		}
	}
	bounded, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	pullErr := g.Pull(bounded, wants, checked.Plan.Registries)
	var left []*Change
	for _, change := range changes {
		err := g.relink(change, names[change.inode])
		if err == nil {
			g.limit.note(change.path, g.Now())
			g.tally.repaired(change, g.Now())
			g.Log.Warn("drift repaired", "change", change.String())
			g.suspectImage(change, checked)
			continue
		}
		if pullErr != nil {
			err = pullErr
		}
		left = append(left, waiting([]*Change{change}, "it is out of the way, and cannot be fetched anew yet: "+err.Error())...)
	}
	return left
}

func waiting(changes []*Change, why string) []*Change {
	for _, change := range changes {
		change.what += "; " + why
	}
	return changes
}

// hide takes a changed file away from one of its names; the first is kept aside where the policy
// says so. A file that is right is left.
func (g *Guard) hide(path string, change *Change) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || printOf(stat).identity != change.inode {
		return nil
	}
	if policyOf(g.armed.drift, binaries) == plan.DriftQuarantine && !g.tally.isAside(change.inode) {
		if err := g.aside(path); err != nil {
			return err
		}
		g.tally.asideOf(change.inode)
		return nil
	}
	return os.RemoveAll(path)
}

// names finds all names of a file in the store and in the generations.
func (g *Guard) names(inode identity) []string {
	var out []string
	for _, top := range []string{g.Generations.Images.Dir, filepath.Join(g.Generations.Root, "generations")} {
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil // what cannot be read has no name for us
			}
			if info, err := entry.Info(); err == nil {
				if stat, ok := info.Sys().(*syscall.Stat_t); ok && printOf(stat).identity == inode {
					out = append(out, path)
				}
			}
			return nil
		})
	}
	return out
}

// relink links the store's file to where it belongs, after it was hashed.
func (g *Guard) relink(change *Change, names []string) error {
	w := change.want
	sum, err := sumOf(w.store)
	if err != nil {
		return err
	}
	if sum != w.sum {
		return fmt.Errorf("%s is not what the signed lock names, either", w.store)
	}
	for _, path := range append(names, w.path) {
		if path == w.store {
			continue
		}
		if err := link(w.store, path); err != nil {
			return err
		}
	}
	return nil
}

// link gives a file another name, in place of what has it.
func link(from, to string) error {
	if same(from, to) {
		return nil
	}
	dir := filepath.Dir(to)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, ".slipway-tmp-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	name := filepath.Join(temp, "link")
	if err := errors.Join(os.Link(from, name), os.Rename(name, to)); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

func same(a, b string) bool {
	first, err1 := os.Lstat(a)
	second, err2 := os.Lstat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}

// proveNext hashes one file of an image whose turn it is.
func (g *Guard) proveNext() {
	if g.armed == nil || len(g.armed.unproven) == 0 {
		return
	}
	path := g.armed.unproven[0]
	g.armed.unproven = g.armed.unproven[1:]
	for _, w := range g.armed.wants {
		if w.path != path {
			continue
		}
		sum, err := sumOf(path)
		if err != nil || sum != w.sum {
			// To look at it again, and not by its print.
			g.armed.proven[path] = print{size: -1}
		}
	}
}
