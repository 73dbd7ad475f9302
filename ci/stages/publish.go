package stages

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
)

// layoutPrefix begins a target that is a directory with an OCI layout.
const layoutPrefix = "oci:"

// publish copies the images, what is said about them and the signed lock to where nodes and people get
// them from, after everything else has held. Blobs go first and names last, the lock's as the very
// last, so that what is killed half way has published nothing that can be seen.
func (c Config) publish(all []pipeline.Stage) pipeline.Stage {
	s := pipeline.Stage{
		Name: "publish", Title: "Publish what was built, as all of it held", Version: 1, Volatile: true, Strict: true, Deadline: 2 * time.Hour,
		Inputs: []pipeline.Input{pipeline.Output("images", "layout"), pipeline.Output("lock", "lock"), pipeline.Output("sign", "signature"), pipeline.Output("sign", "trusted"),
			pipeline.Parameter("to", c.Publish)},
		Run: c.publishAll,
	}
	for _, o := range all {
		if o.Name != "scan" || !c.Unscanned {
			s.Needs = append(s.Needs, o.Name)
		}
	}
	return s
}

// target opens where to publish, whose name must say what it is.
func (c Config) target() (bundle.Target, error) {
	if dir, ok := strings.CutPrefix(c.Publish, layoutPrefix); ok {
		if dir == "" {
			return nil, fmt.Errorf("publish to %q: name a directory", c.Publish)
		}
		return &bundle.ToLayout{Dir: dir}, nil
	}
	r, err := remote.New(c.Publish)
	if err != nil {
		return nil, fmt.Errorf("publish to %q: %w", c.Publish, err)
	}
	r.Push = true
	return bundle.ToRegistry{Registry: r}, nil
}

func (c Config) publishAll(ctx context.Context, s *pipeline.Step) error {
	images, signed, closeImages, err := released(s)
	if err != nil {
		return err
	}
	defer closeImages()
	var first bundle.Mirrored
	// The second time finds out whether everything is there.
	for _, again := range []bool{false, true} {
		for _, part := range []struct {
			what   string
			source bundle.Source
		}{{"images", images}, {"the signed lock", signed}} {
			done, err := c.copy(ctx, s, part.what, part.source)
			if err != nil {
				return fmt.Errorf("publish %s to %s: %w", part.what, c.Publish, err)
			}
			if again && done.Copied+done.Named > 0 {
				return fmt.Errorf("publish %s to %s: %d objects and %d names that were written were not there afterwards", part.what, c.Publish, done.Copied, done.Named)
			}
			first.Copied, first.Moved, first.Named = first.Copied+done.Copied, first.Moved+done.Moved, first.Named+done.Named
		}
	}
	return s.Fact(report.PublishedFact, report.Published{Where: c.Publish, Blobs: first.Copied, Bytes: first.Moved, Tags: first.Named})
}

// copy brings to the target what it lacks of a source.
func (c Config) copy(ctx context.Context, s *pipeline.Step, what string, source bundle.Source) (*bundle.Mirrored, error) {
	target, err := c.target()
	if err != nil {
		return nil, err
	}
	done, err := bundle.Mirror(ctx, source, target, bundle.MirrorOptions{Progress: func(done, total int64) { s.Progress(what+", KiB", done>>10, total>>10) }})
	if err != nil {
		return nil, err
	}
	if len(done.Sparse) > 0 {
		return nil, fmt.Errorf("it does not take %s, of which only some platforms were built; build with --all", strings.Join(done.Sparse, ", "))
	}
	return done, nil
}

// released are the images of this run and the signed lock.
func released(s *pipeline.Step) (images, signed bundle.Source, closeImages func(), err error) {
	var texts [3][]byte
	for i, path := range []string{s.In("lock", "lock"), s.In("sign", "signature"), s.In("sign", "trusted")} {
		if texts[i], err = os.ReadFile(path); err != nil {
			return nil, nil, nil, err
		}
	}
	l, err := lock.Parse("lock", texts[0])
	if err != nil {
		return nil, nil, nil, err
	}
	if signed, err = bundle.NewLock(l.Number, texts[0], texts[1], texts[2], nil); err != nil {
		return nil, nil, nil, err
	}
	content, err := layout.Open(s.In("images", "layout"))
	if err != nil {
		return nil, nil, nil, err
	}
	return bundle.Layout{Layout: content}, signed, func() { _ = content.Close() }, nil
}
