package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"slipway.build/slipway/imagebuild/lock"
)

// Modules knows the versions of Go modules.
type Modules interface {
	// Versions lists the versions of a module. Some proxies refuse the list of a module that they have
	// versions of.
	Versions(ctx context.Context, module string) ([]string, error)
	// Sum returns the h1 sum of a module's zip, checked as the go command checks it.
	Sum(ctx context.Context, module, version string) (string, error)
}

// Archive knows Debian packages by name and architecture ("amd64").
type Archive interface {
	Candidate(ctx context.Context, name, architecture string) (lock.Package, error)
}

// Registry knows upstream's images.
type Registry interface {
	// Digest returns what a reference means now.
	Digest(ctx context.Context, reference string) (string, error)
	// Resolve returns the entry of an upstream image with everything filled that its bytes say: index,
	// platforms, and its reference with the digest.
	Resolve(ctx context.Context, img lock.Image) (*lock.Image, error)
}

// SourceKind is what an image's bytes come from.
type SourceKind string

// The kinds of sources.
const (
	Module    SourceKind = "module"
	Debian    SourceKind = "debian"
	Reference SourceKind = "reference"
)

// Proposal is what is known of one source.
type Proposal struct {
	Kind    SourceKind `json:"kind"`
	Images  []string   `json:"images"` // name@version, all that have the source
	Source  string     `json:"source"` // module path, package for a platform, reference
	Current string     `json:"current"`
	// Proposed is what to go to: a version of the same series, a package, a digest; empty when there
	// is nothing newer, or the lock has it in an entry of its own.
	Proposed string `json:"proposed,omitempty"`
	// Sum pins Proposed where it was fetched: h1:… of a module, sha256 of a package.
	Sum string `json:"sum,omitempty"`
	// Newest is the newest release of all, where that is of a later series.
	Newest string `json:"newest,omitempty"`
	// Unresolved says why nothing is known.
	Unresolved string `json:"unresolved,omitempty"`
	// Edits are what to do for it, in order; empty for what Apply does.
	Edits []string `json:"edits,omitempty"`

	resolved *lock.Image
}

// Updater looks at the sources of a lock.
type Updater struct {
	Modules  Modules
	Archive  Archive
	Registry Registry
	// Own is what the paths of modules begin with that are part of this repository: they have no other
	// source than the clone. Empty means none.
	Own string
	// Edits returns what a person has to edit for a proposal; nil leaves that out.
	Edits func(Proposal) ([]string, error)
	// Progress, if set, is called before each look with what is looked at.
	Progress func(source string)
}

// Plan looks at the sources of the named images (NAME or NAME@VERSION; all when there are none) and
// proposes what is newer. To names one version for all of them instead, of a module; it is for
// modules whose list is refused, too. What cannot be looked at is a proposal that says why.
func (u *Updater) Plan(ctx context.Context, l *lock.Lock, names []string, to string) ([]Proposal, error) {
	images, err := chosen(l, names)
	if err != nil {
		return nil, err
	}
	var all []Proposal
	add := func(p Proposal) {
		i := slices.IndexFunc(all, func(o Proposal) bool {
			return o.Kind == p.Kind && o.Source == p.Source && o.Current == p.Current
		})
		if i >= 0 {
			all[i].Images = append(all[i].Images, p.Images...)
			return
		}
		all = append(all, p)
	}
	for _, img := range images {
		if img.Source.Module != "" && (u.Own == "" || !strings.HasPrefix(img.Source.Module, u.Own)) {
			add(Proposal{Kind: Module, Images: []string{full(img)}, Source: img.Source.Module, Current: img.Source.Version})
		}
		if img.Source.Reference != "" {
			add(Proposal{Kind: Reference, Images: []string{full(img)}, Source: img.Source.Reference, Current: img.Index, resolved: img})
		}
		for _, p := range img.Platforms {
			for _, d := range p.Debian {
				add(Proposal{Kind: Debian, Images: []string{full(img)}, Source: d.Name + ":" + architecture(p.Platform), Current: d.Version, Sum: d.SHA256})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source), Newer(a.Current, b.Current))
	})
	if err := oneModule(all, to); err != nil {
		return nil, err
	}
	for i := range all {
		if err := u.look(ctx, l, &all[i], to, len(names) > 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// oneModule makes sure that a version that was named is one of one module.
func oneModule(all []Proposal, to string) error {
	if to == "" {
		return nil
	}
	var modules []string
	for _, p := range all {
		if p.Kind == Module && !slices.Contains(modules, p.Source) {
			modules = append(modules, p.Source)
		}
	}
	if len(modules) != 1 {
		return fmt.Errorf("version %s: name images of exactly one module, not of %d (%s)", to, len(modules), words(modules))
	}
	if canonical(to) != to {
		return fmt.Errorf("%q is no version of a Go module, such as v1.36.4", to)
	}
	return nil
}

// chosen returns the images that the names mean, each once.
func chosen(l *lock.Lock, names []string) ([]*lock.Image, error) {
	var all []*lock.Image
	if len(names) == 0 {
		for i := range l.Images {
			all = append(all, &l.Images[i])
		}
		return all, nil
	}
	for _, name := range names {
		some, err := Select(l, name)
		if err != nil {
			return nil, err
		}
		for _, img := range some {
			if !slices.Contains(all, img) {
				all = append(all, img)
			}
		}
	}
	return all, nil
}

// look fills a proposal. Its only errors are that it was cancelled and that the clone cannot be read.
func (u *Updater) look(ctx context.Context, l *lock.Lock, p *Proposal, to string, closely bool) error {
	if u.Progress != nil {
		u.Progress(p.Source)
	}
	switch p.Kind {
	case Module:
		u.module(ctx, l, p, to, closely)
	case Debian:
		u.debian(ctx, p)
	case Reference:
		u.reference(ctx, p)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if p.Proposed == "" || p.Unresolved != "" || p.Kind == Reference || u.Edits == nil {
		return nil
	}
	var err error
	p.Edits, err = u.Edits(*p)
	return err
}

func (u *Updater) module(ctx context.Context, l *lock.Lock, p *Proposal, to string, closely bool) {
	if to != "" {
		if to != p.Current {
			p.Proposed, closely = to, true
		}
	} else {
		versions, err := u.Modules.Versions(ctx, p.Source)
		if err != nil {
			p.Unresolved = err.Error()
			return
		}
		p.Proposed, p.Newest = newer(versions, p.Current)
		if has(l, p, p.Proposed) {
			p.Proposed = ""
		}
		if has(l, p, p.Newest) {
			p.Newest = ""
		}
	}
	if p.Proposed == "" || !closely {
		return
	}
	sum, err := u.Modules.Sum(ctx, p.Source, p.Proposed)
	if err != nil {
		p.Unresolved, p.Proposed = err.Error(), ""
		return
	}
	p.Sum = sum
}

// has reports whether the lock has that version of the module in other entries of all the images.
func has(l *lock.Lock, p *Proposal, version string) bool {
	for _, image := range p.Images {
		name, _, _ := strings.Cut(image, "@")
		if !slices.ContainsFunc(l.ByName(name), func(img *lock.Image) bool {
			return img.Source.Module == p.Source && img.Source.Version == version
		}) {
			return false
		}
	}
	return true
}

// newer returns the newest release of the series of current, and the newest of all if it is of a later
// series; each only if it is newer than current. Pre-releases do not count.
func newer(versions []string, current string) (series, newest string) {
	for _, v := range versions {
		if !semver.IsValid(v) || semver.Prerelease(v) != "" || semver.Compare(v, current) <= 0 {
			continue
		}
		if semver.MajorMinor(v) == semver.MajorMinor(current) {
			if series == "" || semver.Compare(v, series) > 0 {
				series = v
			}
		} else if newest == "" || semver.Compare(v, newest) > 0 {
			newest = v
		}
	}
	return series, newest
}

func (u *Updater) debian(ctx context.Context, p *Proposal) {
	name, arch, _ := strings.Cut(p.Source, ":")
	locked := p.Sum
	p.Sum = ""
	found, err := u.Archive.Candidate(ctx, name, arch)
	switch {
	case err != nil:
		p.Unresolved = err.Error()
	case found.SHA256 != locked:
		p.Proposed, p.Sum = found.Version, found.SHA256
	}
}

func (u *Updater) reference(ctx context.Context, p *Proposal) {
	img := p.resolved
	p.resolved = nil
	reference, _, _ := strings.Cut(img.Source.Reference, "@")
	digest, err := u.Registry.Digest(ctx, reference)
	if err != nil {
		p.Unresolved = err.Error()
		return
	}
	if digest == img.Index {
		return
	}
	resolved, err := u.Registry.Resolve(ctx, *img)
	if err != nil {
		p.Unresolved = err.Error()
		return
	}
	p.Proposed, p.resolved = resolved.Index, resolved
}

// architecture is Debian's name of a platform's.
func architecture(platform string) string {
	_, arch, _ := strings.Cut(platform, "/")
	return arch
}

// Apply returns the lock with the references that the proposals have resolved, issued anew under the
// next number, and how many they are. With none it is the lock as it was. Every digest in it was
// computed from bytes that were fetched.
func Apply(l *lock.Lock, proposals []Proposal, now time.Time, life time.Duration) (*lock.Lock, int, error) {
	next := *l
	next.Images = slices.Clone(l.Images)
	n := 0
	for _, p := range proposals {
		if p.resolved == nil || p.Proposed == "" {
			continue
		}
		i := slices.IndexFunc(next.Images, func(img lock.Image) bool { return img.Compare(p.resolved) == 0 })
		if i < 0 {
			return nil, 0, fmt.Errorf("%s is no longer in the lock", full(p.resolved))
		}
		next.Images[i] = *p.resolved
		n++
	}
	if n == 0 {
		return l, 0, nil
	}
	next.Issue(l.Number+1, now, life)
	if err := next.Validate(); err != nil {
		return nil, 0, err
	}
	return &next, n, nil
}

// Keep gives a lock that was just built what no build knows: the acceptances of the committed one, and
// its resolved entries of upstream images, of which a build knows no more than the reference.
func Keep(committed, built *lock.Lock) {
	built.Accepted = committed.Accepted
	for i := range built.Images {
		img := &built.Images[i]
		before, ok := committed.Find(img.Name, img.Version)
		if !ok || img.Source.Reference == "" || img.Unresolved == "" || before.Unresolved != "" {
			continue
		}
		if reference, _, _ := strings.Cut(before.Source.Reference, "@"); reference != img.Source.Reference {
			continue
		}
		img.Source, img.Index, img.Platforms, img.Unresolved = before.Source, before.Index, before.Platforms, ""
	}
}
