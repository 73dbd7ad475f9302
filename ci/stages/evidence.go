package stages

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/provenance"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sbom"
)

// sbom makes what is said about every image anew, from the files that lie in it, and holds it against
// what the lock names.
func (c Config) sbom() pipeline.Stage {
	return pipeline.Stage{
		Name: "sbom", Title: "Make SBOM and provenance of every image anew, and compare them with the lock's", Version: 2, Deadline: 30 * time.Minute,
		Inputs: append(c.sources("imagebuild/sbom", "imagebuild/provenance"),
			pipeline.Output("images", "built"), pipeline.Output("images", "layout"), pipeline.Output("lock", "lock")),
		Outputs: []string{"documents"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			built, err := lock.Load(s.In("images", "built"))
			if err != nil {
				return err
			}
			locked, err := lock.Load(s.In("lock", "lock"))
			if err != nil {
				return err
			}
			if err := os.MkdirAll(s.Out("documents"), 0o755); err != nil {
				return err
			}
			count, without, attached := 0, 0, 0
			for i := range built.Images {
				img, there := locked.Find(built.Images[i].Name, built.Images[i].Version)
				if !there {
					return fmt.Errorf("%s %s is not in the lock", built.Images[i].Name, built.Images[i].Version)
				}
				for _, here := range built.Images[i].Platforms {
					p, ok := img.For(here.Platform)
					if !ok {
						return fmt.Errorf("%s %s is not in the lock for %s", img.Name, img.Version, here.Platform)
					}
					s.Progress(img.Name, int64(i), int64(len(built.Images)))
					err := sbomOf(ctx, s, img, p, locked.Toolchain)
					if err == nil && here.Evidence != (lock.Evidence{}) {
						attached++
						err = attachedTo(ctx, s.In("images", "layout"), img, p)
					}
					if err != nil {
						return fmt.Errorf("%s %s for %s: %w", img.Name, img.Version, p.Platform, err)
					}
					count++
					if p.Evidence == (lock.Evidence{}) {
						without++
					}
				}
			}
			if err := s.Fact(report.ChecksFact, []report.Check{
				{What: "SPDX, CycloneDX and provenance made from the images' own files", Detail: fmt.Sprint(count)},
				{What: "of them are those that the lock names, by their digests", Detail: fmt.Sprint(count - without)},
				{What: "of them are attached to the images, as they are published", Detail: fmt.Sprint(attached)},
			}); err != nil {
				return err
			}
			if without > 0 {
				return s.Unproven("the lock names no SBOM and no provenance for %d of %d images; what could be said of them was made, and compared with nothing", without, count)
			}
			return nil
		},
	}
}

// sbomOf makes the documents of one platform, and compares each with what the lock names.
func sbomOf(ctx context.Context, s *pipeline.Step, img *lock.Image, p *lock.Platform, toolchain string) error {
	dir, err := os.MkdirTemp(s.Scratch(), "files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	err = platformMembers(ctx, img, p, s.In("images", "layout"), s.Scratch(), func(*lock.Image, *tar.Header) error { return nil }, func(m member) error {
		to := filepath.Join(dir, filepath.FromSlash(m.binary.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(m.path, to)
	})
	if err != nil {
		return err
	}
	inventory, err := sbom.Read(img, p, func(path string) (sbom.Source, error) { return os.Open(filepath.Join(dir, filepath.FromSlash(path))) })
	if err != nil {
		return err
	}
	statement, err := provenance.New(img, p, toolchain, inventory)
	if err != nil {
		return err
	}
	for _, d := range []struct {
		name, locked string
		make         func() ([]byte, error)
	}{
		{"spdx", p.Evidence.SPDX, inventory.SPDX},
		{"cyclonedx", p.Evidence.CycloneDX, inventory.CycloneDX},
		{"provenance", p.Evidence.Provenance, statement.Bytes},
	} {
		text, err := d.make()
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		name := fmt.Sprintf("%s-%s-%s.%s.json", img.Name, img.Version, filepath.Base(p.Platform), d.name)
		if err := os.WriteFile(filepath.Join(s.Out("documents"), name), text, 0o644); err != nil {
			return err
		}
		if made := digest.FromBytes(text).String(); d.locked != "" && made != d.locked {
			return fmt.Errorf("%s: the lock names %s, made of the image's files is %s", d.name, d.locked, made)
		}
	}
	return nil
}

// attachedTo looks whether the layout has the documents that the lock names where clients look for them:
// among the referrers of the image's index.
func attachedTo(ctx context.Context, layout string, img *lock.Image, p *lock.Platform) error {
	r := referrer.OpenLayout(layout, img.Repository)
	for _, d := range []struct{ kind, locked string }{
		{referrer.TypeSPDX, p.Evidence.SPDX}, {referrer.TypeCycloneDX, p.Evidence.CycloneDX}, {referrer.TypeProvenance, p.Evidence.Provenance},
	} {
		listed, err := referrer.List(ctx, r, img.Index, d.kind)
		if err != nil {
			return err
		}
		listed = slices.DeleteFunc(listed, func(l v1.Descriptor) bool { return l.Annotations[referrer.AnnotationPlatform] != p.Platform })
		if len(listed) != 1 {
			return fmt.Errorf("the index %s has %d documents of type %s, not one", img.Index, len(listed), d.kind)
		}
		a, err := referrer.Read(ctx, r, img.Index, listed[0], 0)
		if err != nil {
			return err
		}
		if digest.FromBytes(a.Content).String() != d.locked {
			return fmt.Errorf("the document of type %s that is attached to the index %s is not %s, which the lock names", d.kind, img.Index, d.locked)
		}
	}
	return nil
}
