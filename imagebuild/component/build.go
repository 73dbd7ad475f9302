package component

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/lock"
)

// Options say what Build is to build, and where.
type Options struct {
	// Sources is the directory of the build modules: imagebuild/component/sources.
	Sources string
	// Cache is the directory of slow builds' results; empty means CacheDir().
	Cache string
	// Names are the images to build; empty means all.
	Names []string
	// Progress, if set, is called for every event, by one goroutine at a time; it must not block.
	Progress func(Event)
	// Recipes replaces the recipes of this package, for tests.
	Recipes []Recipe
	// Go is the go command; empty means "go" in PATH. Any version from 1.21 on will do: it
	// fetches the locked toolchain.
	Go string
	// Parallel bounds the builds, and the packings, at the same time; 0 means 2.
	Parallel int
}

// Built is one image that is in the cache.
type Built struct {
	// Image is its entry of the lock.
	Image lock.Image
	// Cached is true if nothing had to be compiled.
	Cached bool
	entry  entry
}

// Build makes the images, or finds them in the cache, and returns them sorted by name. It is
// safe to kill at any instant and safe to run twice at the same time. Builds of one module
// run one after the other, for they share most of their packages through Go's own cache; the
// modules run side by side.
func Build(ctx context.Context, o Options) ([]Built, error) {
	b, recipes, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	for _, r := range recipes {
		b.progress.report(Event{Image: r.Image, Phase: Queued})
	}
	built := make([]Built, len(recipes))
	parent := ctx
	work, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, b.parallel)
	for _, lane := range lanes(recipes) {
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
				if err := b.start(ctx, work, recipes[i], &built[i]); err != nil {
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
	slices.SortFunc(built, func(x, y Built) int { return strings.Compare(x.Image.Name, y.Image.Name) })
	return built, nil
}

type builder struct {
	sources   string
	cache     cache
	goCommand string
	parallel  int
	packing   chan struct{}
	progress  *reporter
}

func newBuilder(o Options) (*builder, []Recipe, error) {
	recipes, err := selectRecipes(o)
	if err != nil {
		return nil, nil, err
	}
	if o.Cache == "" {
		o.Cache = CacheDir()
	}
	if o.Go == "" {
		o.Go = "go"
	}
	if o.Parallel < 1 {
		o.Parallel = 2
	}
	sources, err := filepath.Abs(o.Sources)
	if err != nil {
		return nil, nil, err
	}
	c, err := openCache(o.Cache)
	if err != nil {
		return nil, nil, err
	}
	return &builder{
		sources:   sources,
		cache:     c,
		goCommand: o.Go,
		parallel:  o.Parallel,
		packing:   make(chan struct{}, o.Parallel),
		progress:  &reporter{call: o.Progress},
	}, recipes, nil
}

func selectRecipes(o Options) ([]Recipe, error) {
	all := o.Recipes
	if all == nil {
		all = Recipes()
	}
	if len(o.Names) == 0 {
		return all, nil
	}
	var chosen []Recipe
	var known []string
	for _, r := range all {
		known = append(known, r.Image)
		if slices.Contains(o.Names, r.Image) {
			chosen = append(chosen, r)
		}
	}
	for _, n := range o.Names {
		if !slices.Contains(known, n) {
			slices.Sort(known)
			return nil, fmt.Errorf("no image %q; there are %s", n, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// lanes groups the recipes, by index, that build from the same module, in their order.
func lanes(recipes []Recipe) [][]int {
	var all [][]int
	at := map[string]int{}
	for i, r := range recipes {
		n, ok := at[r.Source]
		if !ok {
			n = len(all)
			at[r.Source] = n
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// job is one image on its way through the builder.
type job struct {
	*builder
	in      inputs
	key     string
	began   time.Time
	count   int
	release func()
}

func (j *job) report(e Event) {
	e.Image, e.Elapsed, e.Packages = j.in.Recipe.Image, time.Since(j.began), j.count
	j.progress.report(e)
}

// start compiles an image here, in the order of its lane, and leaves packing to work.
func (b *builder) start(ctx context.Context, work *errgroup.Group, r Recipe, out *Built) error {
	j := &job{builder: b, began: time.Now()}
	fail := func(err error) error {
		err = fmt.Errorf("build %s: %w", r.Image, err)
		j.report(Event{Phase: Failed, Err: err})
		return err
	}
	j.in.Recipe = r
	var err error
	if j.in, err = readInputs(b.sources, r); err != nil {
		return fail(err)
	}
	if j.key, err = j.in.key(); err != nil {
		return fail(err)
	}
	if j.release, err = b.cache.lock(ctx, j.key, func() { j.report(Event{Phase: Waiting}) }); err != nil {
		return fail(err)
	}
	final := b.cache.entry(j.key)
	found, intact := final.load()
	if intact {
		j.release()
		*out = j.built(found, final, true)
		j.report(Event{Phase: Cached, Bytes: found.Platform.Bytes()})
		return nil
	}
	scratch := entry{final.dir + ".work"}
	if err := j.prepare(ctx, final, found, scratch); err != nil {
		j.release()
		return fail(err)
	}
	work.Go(func() error {
		defer j.release()
		p, err := j.pack(ctx, scratch, final)
		if err != nil {
			return fail(err)
		}
		*out = j.built(p, final, false)
		j.report(Event{Phase: Packed, Bytes: p.Platform.Bytes()})
		return nil
	})
	return nil
}

// prepare puts the binaries into a fresh work directory: those of a damaged entry if they
// are still right, else newly compiled ones.
func (j *job) prepare(ctx context.Context, final entry, found packed, work entry) error {
	if err := os.RemoveAll(work.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(work.blobs(), 0o755); err != nil {
		return err
	}
	if final.programs(found) {
		return os.Rename(final.root(), work.root())
	}
	env, err := environment(ctx, j.goCommand)
	if err != nil {
		return err
	}
	j.report(Event{Phase: Building})
	for _, p := range j.in.Recipe.Programs {
		file := filepath.Join(work.root(), filepath.FromSlash(p.Path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		err := compile(ctx, j.goCommand, env, j.sources, j.in, p, file, func(line string) {
			if !strings.HasPrefix(line, "go: ") {
				j.count++
			}
			j.report(Event{Phase: Building, Detail: line})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *job) pack(ctx context.Context, work, final entry) (packed, error) {
	select {
	case j.packing <- struct{}{}:
		defer func() { <-j.packing }()
	case <-ctx.Done():
		return packed{}, context.Cause(ctx)
	}
	j.report(Event{Phase: Packing})
	var problems []error
	for _, p := range j.in.Recipe.Programs {
		problems = append(problems, gate(filepath.Join(work.root(), filepath.FromSlash(p.Path)), j.in, p))
	}
	if err := errors.Join(problems...); err != nil {
		return packed{}, err
	}
	p, err := pack(j.in, work.root(), work.blobs())
	if err != nil {
		return p, err
	}
	return p, work.store(p, final)
}

func (j *job) built(p packed, e entry, cached bool) Built {
	r := j.in.Recipe
	return Built{Cached: cached, entry: e, Image: lock.Image{
		Name:       r.Image,
		Version:    r.Version,
		Repository: r.Repository(),
		Source: lock.Source{
			Module:   r.Module,
			Version:  r.Version,
			Sum:      j.in.Module,
			Packages: r.Packages(),
			Flags:    slices.Concat(j.in.Settings, j.in.Flags),
			GoSum:    j.in.GoSum,
		},
		Kubernetes: r.Kubernetes,
		HostTools:  r.HostTools,
		Index:      p.Index,
		Platforms:  []lock.Platform{p.Platform},
	}}
}
