package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/component/gzip"
)

// slipway packs with this repository's own code.
type slipway struct {
	store string
	forms []component.Form
}

func (s *slipway) name() string {
	if len(s.forms) > 1 {
		return "slipway, gzip and zstd"
	}
	return "slipway"
}

// workers is how many images are on their way at once: one compresses on all cores while the
// other is read or sent.
const workers = 2

func (s *slipway) run(ctx context.Context, files, registry string) error {
	reg, err := name.NewRegistry(registry)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(workers)
	for _, n := range names() {
		work.Go(func() error {
			b, err := component.PackFiles(ctx, s.store, s.forms, component.Files{
				Name: n, Version: "v1.0.0", Platform: "linux/amd64",
				Paths: map[string]string{"usr/bin/" + n: filepath.Join(files, n)},
			})
			if err != nil {
				return err
			}
			return component.Push(ctx, reg, b)
		})
	}
	return work.Wait()
}

// compressAll compresses files as slipway does, and nothing else: it hashes, keeps and sends nothing.
func compressAll(dir string, names []string) error {
	var work errgroup.Group
	work.SetLimit(workers)
	for _, n := range names {
		work.Go(func() error { return compress(filepath.Join(dir, n)) })
	}
	return work.Wait()
}

func compress(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := gzip.NewWriter(io.Discard)
	_, err = io.Copy(w, f)
	return errors.Join(err, w.Close())
}

// buildah builds with its layer cache on, without a build container (nothing is run in one), on
// overlayfs, and pushes what it has built: all as its manual has it.
type buildah struct {
	store, label string
	push         []string // options of buildah push
}

func (b *buildah) name() string { return b.label }

func (b *buildah) run(ctx context.Context, files, registry string) error {
	if err := os.MkdirAll(b.store, 0o700); err != nil {
		return err
	}
	for _, n := range names() {
		recipe := filepath.Join(b.store, "Containerfile."+n)
		text := fmt.Sprintf("FROM scratch\nCOPY %s /usr/bin/%s\nENTRYPOINT [\"/usr/bin/%s\"]\n", n, n, n)
		if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
			return err
		}
		if err := b.command(ctx, "build", "--quiet", "--layers", "--isolation=chroot", "-t", "slipway/"+n, "-f", recipe, files); err != nil {
			return err
		}
		push := append([]string{"push", "--quiet", "--tls-verify=false"}, b.push...)
		if err := b.command(ctx, append(push, "localhost/slipway/"+n, "docker://"+registry+"/slipway/"+n+":v1.0.0")...); err != nil {
			return err
		}
	}
	return nil
}

func (b *buildah) command(ctx context.Context, args ...string) error {
	args = append([]string{"--root", filepath.Join(b.store, "root"), "--runroot", filepath.Join(b.store, "run"), "--storage-driver", "overlay"}, args...)
	out, err := exec.CommandContext(ctx, "buildah", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("buildah %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
