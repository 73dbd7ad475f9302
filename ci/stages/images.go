package stages

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// images builds the component images. The committed lock is an input, because it says what of an
// image is not built here.
func (c Config) images() pipeline.Stage {
	names, platforms, forms := c.Images, []string{component.HostPlatform()}, []component.Form{component.Zstd}
	if len(names) == 0 && !c.All {
		names = component.ClusterImages()
	}
	if c.All {
		platforms, forms = component.Platforms(), component.Forms()
	}
	return pipeline.Stage{
		Name: "images", Title: "Build the component images", Version: 3, Deadline: 6 * time.Hour,
		Inputs: append(c.sources("imagebuild"), pipeline.Path("images.yaml", c.in("images.yaml")), pipeline.Value("recipes", component.Recipes()),
			pipeline.Parameter("images", strings.Join(names, " ")), pipeline.Parameter("platforms", strings.Join(platforms, " ")), pipeline.Value("forms", forms)),
		Outputs: []string{"layout", "built", "lock"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			built, err := component.Build(ctx, component.Options{
				Sources: c.in("imagebuild", "component", "sources"), Names: names, Platforms: platforms, Forms: forms, Progress: func(e component.Event) { say(s, e) },
			})
			if err != nil {
				return err
			}
			return c.writeImages(ctx, s, built)
		},
	}
}

// writeImages makes the outputs: a layout, in which what is said about images in both forms is attached
// to them, the lock of what was built, and that lock together with
// what the committed one says of the same images beyond it.
func (c Config) writeImages(ctx context.Context, s *pipeline.Step, built []component.Built) error {
	committed, err := lock.Load(c.in("images.yaml"))
	if err != nil {
		return fmt.Errorf("the committed lock: %w", err)
	}
	adopted, err := component.Adopt(committed, built)
	if err != nil {
		return err
	}
	s.Say("%d images into one layout", len(built))
	if err := component.WriteLayout(s.Out("layout"), adopted); err != nil {
		return err
	}
	if err := component.AttachEvidence(ctx, s.Out("layout"), adopted); err != nil {
		return err
	}
	for to, of := range map[string][]component.Built{"built": built, "lock": adopted} {
		l, err := component.Compute(of)
		if err != nil {
			return err
		}
		release.Keep(committed, l)
		component.Issue(committed, l, c.Now(), component.LockLife)
		if err := component.WriteLock(s.Out(to), l); err != nil {
			return err
		}
		if to == "built" {
			if err := s.Fact(report.ArtifactsFact, report.OfLock(l)); err != nil {
				return err
			}
		}
	}
	return nil
}

// say shows an event of the image builder.
func say(s *pipeline.Step, e component.Event) {
	switch e.Phase {
	case component.Queued:
	case component.Building:
		if e.Packages > 0 && e.Packages%50 != 0 {
			s.Progress(fmt.Sprintf("%s: %d packages compiled", e.Image, e.Packages), int64(e.Done), int64(e.Total))
			return
		}
		s.Say("%s %s: %s %s", e.Image, e.Version, e.Phase, e.Detail)
	default:
		s.Say("%s %s: %s", e.Image, e.Version, e.Phase)
	}
}

// lock holds what was built against the committed lock, which is the one that is signed: it says the
// same and more, where only some images were built.
func (c Config) lock() pipeline.Stage {
	return pipeline.Stage{
		Name: "lock", Title: "Hold what was built against images.yaml", Version: 1, Deadline: 5 * time.Minute,
		Inputs:  []pipeline.Input{pipeline.Output("images", "lock"), pipeline.Path("images.yaml", c.in("images.yaml"))},
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
			if err := component.Check(part(committed, built), built); err != nil {
				return err
			}
			if err := component.WriteLock(s.Out("lock"), committed); err != nil {
				return err
			}
			return s.Fact(report.ChecksFact, []report.Check{{What: "images.yaml names exactly what was built", Detail: fmt.Sprintf("%d images, lock number %d", len(built.Images), committed.Number)}})
		},
	}
}

// part is a lock of those images that another one has.
func part(l, of *lock.Lock) *lock.Lock {
	p := l.Only()
	for _, img := range l.Images {
		if _, there := of.Find(img.Name, img.Version); there {
			p.Images = append(p.Images, img)
		}
	}
	return p
}

// blobPath is a blob of a layout in a directory.
func blobPath(layout, digest string) string {
	return filepath.Join(layout, "blobs", "sha256", digest[len("sha256:"):])
}
