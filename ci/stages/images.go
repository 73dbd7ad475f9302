package stages

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

// images builds the component images. The committed lock is an input, because it says by which
// number and until when what is built counts.
func (c Config) images() pipeline.Stage {
	return pipeline.Stage{
		Name: "images", Title: "Build the component images", Version: 1, Deadline: 3 * time.Hour,
		Inputs: append(c.sources("imagebuild"),
			pipeline.Value("recipes", component.Recipes()), pipeline.Value("images", c.Images), pipeline.Path("images.yaml", c.in("images.yaml"))),
		Outputs: []string{"layout", "lock"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			built, err := component.Build(ctx, component.Options{
				Sources: c.in("imagebuild", "component", "sources"), Names: c.Images, Progress: func(e component.Event) { say(s, e) },
			})
			if err != nil {
				return err
			}
			l, err := component.Compute(built)
			if err != nil {
				return err
			}
			committed, err := lock.Load(c.in("images.yaml"))
			if err != nil {
				return fmt.Errorf("the committed lock: %w", err)
			}
			component.Issue(committed, l, c.Now(), component.LockLife)
			s.Say("%d images into one layout", len(built))
			if err := component.WriteLayout(s.Out("layout"), built); err != nil {
				return err
			}
			if err := component.WriteLock(s.Out("lock"), l); err != nil {
				return err
			}
			return s.Fact(report.ArtifactsFact, report.OfLock(l))
		},
	}
}

// say shows an event of the image builder.
func say(s *pipeline.Step, e component.Event) {
	switch e.Phase {
	case component.Queued:
	case component.Building:
		if e.Packages > 0 && e.Packages%50 != 0 {
			s.Progress(e.Image+": packages compiled", int64(e.Packages), 0)
			return
		}
		s.Say("%s: %s %s", e.Image, e.Phase, e.Detail)
	default:
		s.Say("%s: %s", e.Image, e.Phase)
	}
}

// lock holds what was built against the committed lock, which is the one that is signed: it says the
// same and more, where only some images were built.
func (c Config) lock() pipeline.Stage {
	return pipeline.Stage{
		Name: "lock", Title: "Hold what was built against images.yaml", Version: 1, Deadline: 5 * time.Minute,
		Inputs:  []pipeline.Input{pipeline.Output("images", "lock"), pipeline.Path("images.yaml", c.in("images.yaml")), pipeline.Value("images", c.Images)},
		Outputs: []string{"lock"},
		Run: func(_ context.Context, s *pipeline.Step) error {
			built, err := lock.Load(s.In("images", "lock"))
			if err != nil {
				return err
			}
			committed, err := lock.Load(c.in("images.yaml"))
			if err != nil {
				return fmt.Errorf("the committed lock: %w", err)
			}
			want := committed
			if len(c.Images) > 0 {
				want = committed.Only(c.Images...)
			}
			if err := component.Check(want, built); err != nil {
				return err
			}
			if err := component.WriteLock(s.Out("lock"), committed); err != nil {
				return err
			}
			return s.Fact(report.ChecksFact, []report.Check{{What: "images.yaml names exactly what was built", Detail: fmt.Sprintf("%d images, lock number %d", len(built.Images), committed.Number)}})
		},
	}
}

// blobPath is a blob of a layout in a directory.
func blobPath(layout, digest string) string {
	return filepath.Join(layout, "blobs", "sha256", digest[len("sha256:"):])
}
