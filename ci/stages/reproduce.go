package stages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

// again are the images that every run builds a second time: a program of ours, several programs in one
// image, and a large one.
var again = [...]string{"pause", "cni", "coredns"}

// reproduce links and packs some images a second time, out of a copy of their sources in another
// directory and through an empty cache of ours, and compares. Compiled packages may come from Go's own
// build cache.
func (c Config) reproduce() pipeline.Stage {
	return pipeline.Stage{
		Name: "reproduce", Title: "Build some of the images once more, elsewhere, and compare", Version: 1, Deadline: 30 * time.Minute,
		Inputs: append(c.sources("imagebuild"), pipeline.Value("again", again), pipeline.Output("images", "built")),
		Run: func(ctx context.Context, s *pipeline.Step) error {
			first, err := lock.Load(s.In("images", "built"))
			if err != nil {
				return err
			}
			var names []string
			for _, img := range first.Images {
				if slices.Contains(again[:], img.Name) {
					names = append(names, img.Name+"@"+img.Version)
				}
			}
			if len(names) == 0 {
				return s.Unproven("none of %v was built in this run", again)
			}
			sources := filepath.Join(s.Scratch(), "another", "place")
			if err := os.CopyFS(sources, os.DirFS(c.in("imagebuild", "component", "sources"))); err != nil {
				return fmt.Errorf("copy the sources: %w", err)
			}
			built, err := component.Build(ctx, component.Options{
				Sources: sources, Cache: filepath.Join(s.Scratch(), "cache"), Names: names, Progress: func(e component.Event) { say(s, e) },
			})
			if err != nil {
				return err
			}
			second, err := component.Compute(built)
			if err != nil {
				return err
			}
			if err := component.Check(hostPart(first, second), second); err != nil {
				return fmt.Errorf("the second build differs: %w", err)
			}
			return s.Fact(report.ChecksFact, []report.Check{{What: "built twice, in different directories, with the same digests of binary, layer, manifest and index", Detail: fmt.Sprint(names)}})
		},
	}
}

// hostPart is what a lock says of the images of another one for this machine's platform, in the form
// that nodes fetch, as the second build makes them.
func hostPart(l, of *lock.Lock) *lock.Lock {
	p := part(l, of)
	for i := range p.Images {
		img := &p.Images[i]
		host, ok := img.For(component.HostPlatform())
		if !ok {
			continue
		}
		whole := len(img.Platforms) == 1 && host.Gzip.Manifest == "" && host.Evidence == (lock.Evidence{})
		one := *host
		one.Gzip, one.Evidence = lock.Form{}, lock.Evidence{}
		img.Platforms = []lock.Platform{one}
		if second, ok := of.Find(img.Name, img.Version); ok && !whole {
			img.Index = second.Index // the first one is of more than is built here
		}
	}
	return p
}
