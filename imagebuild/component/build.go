package component

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/lock"
)

// Options say what Build is to build, and where.
type Options struct {
	// Sources is the directory of the build modules: imagebuild/component/sources.
	Sources string
	// Cache is the directory of slow builds' results; empty means buildcache.Dir().
	Cache string
	// Names are the images to build: NAME for the newest version, or NAME@VERSION; empty means all.
	Names []string
	// Platforms are what to build them for; empty means HostPlatform().
	Platforms []string
	// Forms are how to pack them; empty means Zstd, which is what nodes fetch.
	Forms []Form
	// Progress, if set, is called for every event, by one goroutine at a time; it must not block.
	Progress func(Event)
	// Recipes replaces the recipes of this package, for tests.
	Recipes []Recipe
	// Go is the go command; empty means "go" in PATH. Any version from 1.21 on will do: it
	// fetches the locked toolchain.
	Go string
	// Parallel bounds the builds, and the packings, at the same time; 0 means 2.
	Parallel int
	// CachedOnly compiles nothing: an image that is not in the cache comes back unresolved, with
	// the reason.
	CachedOnly bool
}

// Built is one image that is in the cache, or that cannot be there.
type Built struct {
	// Image is its entry of the lock, with the platforms and forms that were built.
	Image lock.Image
	// Cached is true if nothing had to be compiled.
	Cached bool
	blobs  map[string]string // file by digest
	files  map[string]string // compiled file by "linux/amd64 usr/bin/etcd"
	// contents are the images' by platform.
	contents map[string][]content
}

// Build makes the images, or finds them in the cache, and returns them sorted by name and
// version. It is safe to kill at any instant and safe to run twice at the same time. Builds of
// one module run one after the other, for they share most of their packages through Go's own
// cache; the modules run side by side.
func Build(ctx context.Context, o Options) ([]Built, error) {
	b, recipes, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	all := tasks(recipes, b.platforms)
	for _, t := range all {
		b.progress.report(Event{Image: t.recipe.Image, Version: t.recipe.Version, Platform: t.platform, Phase: Queued})
	}
	parts := make([]part, len(all))
	parent := ctx
	work, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, b.parallel)
	for _, lane := range lanes(all) {
		select { // here and not in the goroutine, so that lanes begin in their order
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			defer func() { <-slots }()
			for _, i := range lane {
				if err := b.start(ctx, work, all[i], &parts[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	if err := context.Cause(parent); err != nil {
		return nil, err
	}
	built, err := join(recipes, all, parts)
	if err != nil {
		return nil, err
	}
	for i := range built {
		if err := b.addEvidence(parent, &built[i]); err != nil {
			return nil, err
		}
	}
	return built, nil
}

type builder struct {
	sources    string
	goCommand  string
	parallel   int
	platforms  []string
	forms      []Form
	cachedOnly bool
	// debianCache is where Debian packages are kept.
	debianCache string
	compiled    cache
	packed      cache
	evidence    cache
	durations   durations
	packing     chan struct{}
	progress    *reporter
}

func newBuilder(o Options) (*builder, []Recipe, error) {
	if o.Recipes == nil {
		o.Recipes = Recipes()
	}
	recipes, err := choose(o.Recipes, o.Names)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range recipes {
		if r.Reference == "" {
			continue // its task is checked, with a name for its error
		}
		if err := r.check(); err != nil {
			return nil, nil, err
		}
	}
	if o.Cache == "" {
		o.Cache = buildcache.Dir()
	}
	if o.Go == "" {
		o.Go = "go"
	}
	if o.Parallel < 1 {
		o.Parallel = 2
	}
	if len(o.Platforms) == 0 {
		o.Platforms = []string{HostPlatform()}
	}
	if len(o.Forms) == 0 {
		o.Forms = []Form{Zstd}
	}
	if !slices.Contains(o.Forms, Zstd) {
		return nil, nil, fmt.Errorf("the forms %v lack zstd, which nodes fetch", o.Forms)
	}
	sources, err := filepath.Abs(o.Sources)
	if err != nil {
		return nil, nil, err
	}
	b := &builder{
		sources: sources, goCommand: o.Go, parallel: o.Parallel, cachedOnly: o.CachedOnly,
		platforms: unique(o.Platforms), forms: unique(o.Forms),
		packing: make(chan struct{}, o.Parallel), debianCache: debianDir(o.Cache),
	}
	if b.compiled, err = openCache(o.Cache, "compiled"); err != nil {
		return nil, nil, err
	}
	if b.packed, err = openCache(o.Cache, "packed"); err != nil {
		return nil, nil, err
	}
	if b.evidence, err = openCache(o.Cache, "evidence"); err != nil {
		return nil, nil, err
	}
	b.durations = openDurations(b.compiled.dir)
	b.progress = &reporter{call: o.Progress, estimate: newEstimate(b.durations.read(), o.Parallel)}
	return b, recipes, nil
}

func unique[T ~string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// join makes the entries of the lock from the parts of every platform.
func join(recipes []Recipe, all []task, parts []part) ([]Built, error) {
	var built []Built
	for _, r := range recipes {
		b := Built{Cached: true, blobs: map[string]string{}, files: map[string]string{}, contents: map[string][]content{}}
		b.Image = r.entry()
		for i, t := range all {
			if t.recipe.ID() == r.ID() {
				b.add(parts[i])
			}
		}
		slices.SortFunc(b.Image.Platforms, func(x, y lock.Platform) int { return strings.Compare(x.Platform, y.Platform) })
		if len(b.Image.Platforms) > 0 {
			b.Image.Unresolved = ""
			var err error
			if b.Image.Index, err = indexDigest(&b.Image); err != nil {
				return nil, err
			}
		}
		built = append(built, b)
	}
	slices.SortFunc(built, func(x, y Built) int { return x.Image.Compare(&y.Image) })
	return built, nil
}

// add takes in one platform.
func (b *Built) add(p part) {
	b.Image.Source = p.source
	b.Cached = b.Cached && p.cached
	if p.unresolved != "" {
		if b.Image.Unresolved == "" {
			b.Image.Unresolved = p.unresolved
		}
		return
	}
	b.Image.Platforms = append(b.Image.Platforms, p.platform)
	b.contents[p.platform.Platform] = p.contents
	for digest, file := range p.blobs {
		b.blobs[digest] = file
	}
	for name, file := range p.files {
		b.files[p.platform.Platform+" "+name] = file
	}
}
