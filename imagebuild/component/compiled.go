package component

import (
	"context"
	"fmt"

	"slipway.build/slipway/imagebuild/buildcache"
)

// compiled is one program in the cache of programs: the file "program" of its entry.
type compiled struct {
	Package  string
	Platform string
	SHA256   string // hex
	Size     int64
}

// program returns a program from the cache, or compiles and gates it. again distrusts the
// bytes in the cache: they are hashed, and compiled anew where they are not what they were.
func (b *builder) program(ctx context.Context, in inputs, p Program, again bool, building func(line string), waiting func()) (compiled, string, bool, error) {
	key := in.programKey(p.Package)
	final := b.compiled.entry(key)
	var c compiled
	if final.read(&c) && (!again || hasDigest(final.file("program"), "sha256:"+c.SHA256)) {
		return c, final.file("program"), true, nil
	}
	release, err := b.compiled.lock(ctx, key, waiting)
	if err != nil {
		return c, "", false, err
	}
	defer release()
	if final.read(&c) && hasDigest(final.file("program"), "sha256:"+c.SHA256) { // another process was first
		return c, final.file("program"), true, nil
	}
	work, err := final.scratch()
	if err != nil {
		return c, "", false, err
	}
	defer work.discard()
	env, err := environment(ctx, b.goCommand, in.Platform)
	if err != nil {
		return c, "", false, err
	}
	building("")
	if err := compile(ctx, b.goCommand, env, b.sources, in, p, work.file("program"), building); err != nil {
		return c, "", false, err
	}
	if err := gate(work.file("program"), in, p); err != nil {
		return c, "", false, err
	}
	c = compiled{Package: p.Package, Platform: in.Platform}
	if c.SHA256, c.Size, err = buildcache.Sum(work.file("program")); err != nil {
		return c, "", false, fmt.Errorf("hash %s: %w", p.Package, err)
	}
	return c, final.file("program"), false, final.store(c, work)
}
