package component

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/lock"
)

// part is one image on one platform, done.
type part struct {
	platform   lock.Platform
	source     lock.Source
	cached     bool
	unresolved string
	blobs      map[string]string // file by digest
	files      map[string]string // compiled file by path
	contents   []content
}

// job is one image on one platform on its way through the builder.
type job struct {
	*builder
	in       inputs
	began    time.Time
	count    int
	compiled bool // something was
	files    map[string]string
}

func (j *job) report(e Event) {
	e.Image, e.Version, e.Platform = j.in.Recipe.Image, j.in.Recipe.Version, j.in.Platform
	e.Elapsed, e.Packages = time.Since(j.began), j.count
	j.progress.report(e)
}

// start compiles an image here, in the order of its lane, and leaves packing to work.
func (b *builder) start(ctx context.Context, work *errgroup.Group, t task, out *part) error {
	j := &job{builder: b, began: time.Now(), in: inputs{Recipe: t.recipe, Platform: t.platform}}
	fail := func(err error) error {
		err = fmt.Errorf("build %s %s for %s: %w", t.recipe.Image, t.recipe.Version, t.platform, err)
		j.report(Event{Phase: Failed, Err: err})
		return err
	}
	var err error
	if j.in, err = readInputs(b.sources, t.recipe, t.platform); err != nil {
		return fail(err)
	}
	out.source = j.in.source()
	if b.cachedOnly && !j.isCompiled() {
		out.unresolved = "not built yet: run slipway images build " + t.recipe.ID()
		j.report(Event{Phase: Cached})
		return nil
	}
	img, debian, err := j.image(ctx, false)
	if err != nil {
		return fail(err)
	}
	if done, missing := j.find(img); len(missing) == 0 {
		*out = j.part(img, debian, done)
		out.cached = !j.compiled
		j.report(Event{Phase: Cached, Bytes: bytesOf(done)})
		return nil
	}
	if img, debian, err = j.image(ctx, true); err != nil { // now the bytes matter
		return fail(err)
	}
	work.Go(func() error {
		done, err := j.pack(ctx, img)
		if err != nil {
			return fail(err)
		}
		*out = j.part(img, debian, done)
		out.cached = !j.compiled
		b.durations.record(t.recipe.ID()+" "+t.platform, time.Since(j.began))
		j.report(Event{Phase: Packed, Bytes: bytesOf(done)})
		return nil
	})
	return nil
}

// isCompiled says whether every program is in the cache.
func (j *job) isCompiled() bool {
	for _, p := range j.in.Recipe.Programs {
		var c compiled
		if !j.builder.compiled.entry(j.in.programKey(p.Package)).read(&c) {
			return false
		}
	}
	return true
}

// image compiles what is not in the cache, and lists the contents of the image. check hashes the
// programs that are in the cache.
func (j *job) image(ctx context.Context, check bool) (image, []lock.Package, error) {
	r := &j.in.Recipe
	var contents []content
	j.files = map[string]string{}
	for _, p := range r.Programs {
		c, file, cached, err := j.program(ctx, j.in, p, check, j.building, func() { j.report(Event{Phase: Waiting}) })
		if err != nil {
			return image{}, nil, err
		}
		j.compiled = j.compiled || !cached
		j.files[p.Path] = file
		contents = append(contents, content{Path: p.Path, SHA256: c.SHA256, Size: c.Size, file: file})
	}
	more, debian, err := j.system(ctx)
	if err != nil {
		return image{}, nil, err
	}
	contents = append(contents, more...)
	if err := sortContents(contents); err != nil {
		return image{}, nil, err
	}
	return newImage(r, j.in.Platform, contents), debian, nil
}

func (j *job) building(line string) {
	if line != "" && !strings.HasPrefix(line, "go: ") {
		j.count++
	}
	j.report(Event{Phase: Building, Detail: line})
}

// find loads the forms that are in the cache, and names those that are not.
func (j *job) find(img image) (map[Form]packedEntry, []Form) {
	done := map[Form]packedEntry{}
	var missing []Form
	for _, f := range j.forms {
		e := j.packed.entry(img.key(f))
		if p, intact := loadPacked(e); intact {
			done[f] = packedEntry{p, e}
		} else {
			missing = append(missing, f)
		}
	}
	return done, missing
}

type packedEntry struct {
	packed
	entry entry
}

func bytesOf(done map[Form]packedEntry) int64 {
	p := done[Zstd]
	return p.bytes()
}

// pack makes the forms that are missing.
func (j *job) pack(ctx context.Context, img image) (map[Form]packedEntry, error) {
	select {
	case j.packing <- struct{}{}:
		defer func() { <-j.packing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for _, f := range j.forms { // in their order, so that two builders cannot wait for each other
		release, err := j.packed.lock(ctx, img.key(f), func() { j.report(Event{Phase: Waiting}) })
		if err != nil {
			return nil, err
		}
		defer release()
	}
	done, missing := j.find(img) // another process may have been first
	if len(missing) == 0 {
		return done, nil
	}
	j.report(Event{Phase: Packing})
	dirs, work := map[Form]string{}, map[Form]entry{}
	for _, f := range missing {
		w, err := j.packed.entry(img.key(f)).scratch()
		if err != nil {
			return nil, err
		}
		defer w.discard()
		work[f], dirs[f] = w, w.dir
	}
	all, err := pack(img, missing, dirs)
	if err != nil {
		return nil, err
	}
	for _, f := range missing {
		final := j.packed.entry(img.key(f))
		if err := final.store(all[f], work[f]); err != nil {
			return nil, err
		}
		done[f] = packedEntry{all[f], final}
	}
	return done, nil
}

// part is the result.
func (j *job) part(img image, debian []lock.Package, done map[Form]packedEntry) part {
	z := done[Zstd]
	p := part{source: j.in.source(), files: j.files, contents: img.Contents, blobs: map[string]string{}, platform: lock.Platform{
		Platform: j.in.Platform, Manifest: z.Manifest, Size: z.Size, Config: z.Config, Layers: z.Layers,
		Files: lockFiles(img.Contents), Debian: debian,
	}}
	if g, found := done[Gzip]; found {
		p.platform.Config = g.Config
		p.platform.Gzip = lock.Form{Manifest: g.Manifest, Size: g.Size, Layers: g.Layers}
	}
	for _, d := range done {
		for digest, file := range packedBlobs(d.entry, d.packed) {
			p.blobs[digest] = file
		}
	}
	return p
}
