package stages

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/provenance"
	"slipway.build/slipway/imagebuild/sbom"
)

// sbom makes what is said about every image anew, from the files that lie in it, and holds it against
// what the lock names.
func (c Config) sbom() pipeline.Stage {
	return pipeline.Stage{
		Name: "sbom", Title: "Make SBOM and provenance of every image anew, and compare them with the lock's", Version: 1, Deadline: 30 * time.Minute,
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
			count, without := 0, 0
			for i := range built.Images {
				img, there := locked.Find(built.Images[i].Name, built.Images[i].Version)
				if !there {
					return fmt.Errorf("%s %s is not in the lock", built.Images[i].Name, built.Images[i].Version)
				}
				for j := range built.Images[i].Platforms {
					p, ok := img.For(built.Images[i].Platforms[j].Platform)
					if !ok {
						return fmt.Errorf("%s %s is not in the lock for %s", img.Name, img.Version, built.Images[i].Platforms[j].Platform)
					}
					s.Progress(img.Name, int64(i), int64(len(built.Images)))
					if err := sbomOf(ctx, s, img, p, locked.Toolchain); err != nil {
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
				{What: "of them the lock names, by their digests", Detail: fmt.Sprint(count - without)},
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

// sbomOf makes the documents of one platform, and compares each with what the lock names and the layout has.
func sbomOf(ctx context.Context, s *pipeline.Step, img *lock.Image, p *lock.Platform, toolchain string) error {
	dir, err := os.MkdirTemp(s.Scratch(), "files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	layout := s.In("images", "layout")
	err = platformMembers(ctx, img, p, layout, s.Scratch(), func(*lock.Image, *tar.Header) error { return nil }, func(m member) error {
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
		file := filepath.Join(s.Out("documents"), name)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		if d.locked == "" {
			continue
		}
		if err := sameDocument(file, d.locked, layout); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// sameDocument compares a document with the one that the lock names, and with what lies in the layout.
func sameDocument(file, locked, layout string) error {
	made, _, err := fileDigest(file)
	if err != nil {
		return err
	}
	if made != locked {
		return fmt.Errorf("the lock names %s, made of the image's files is %s", locked, made)
	}
	there, _, err := fileDigest(blobPath(layout, locked))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the layout does not have %s, which the lock names", locked)
	}
	if err == nil && there != locked {
		err = fmt.Errorf("the layout has %s under the name of %s", there, locked)
	}
	return err
}
