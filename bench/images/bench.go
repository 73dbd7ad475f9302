package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/component/gzip"
)

// names are the components whose binaries are packed.
func names() []string {
	return []string{"prometheus", "kube-apiserver", "coredns", "kube-controller-manager", "kubelet"}
}

// changed is the one that differs in the second scenario.
const changed = "kubelet"

// contender packs the files in dir, one image each, and pushes them to a registry. It keeps its
// store from one call to the next.
type contender interface {
	name() string
	run(ctx context.Context, files, registry string) error
}

// bench runs all rounds. A round starts with empty stores and an empty registry, packs and pushes
// all, then changes one file and packs and pushes all once more.
func bench(ctx context.Context, source, dir string, rounds int) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := filepath.Join(dir, "files")
	size, err := prepare(ctx, source, files)
	if err != nil {
		return err
	}
	fmt.Printf("files: %d binaries, %.0f MB\n", len(names()), float64(size)/1e6)
	r := newReport()
	for round := range rounds {
		for _, c := range order(round, dir) {
			if err := measure(ctx, c, round, files, r); err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "stores")); err != nil {
			return err
		}
	}
	if err := measureCompression(files, r); err != nil {
		return err
	}
	r.print()
	return nil
}

// order is who begins: the contenders take turns, so that neither has the warmer cache.
func order(round int, dir string) []contender {
	all := []contender{
		&slipway{store: filepath.Join(dir, "stores", "slipway"), forms: []component.Form{component.Gzip}},
		&buildah{store: filepath.Join(dir, "stores", "buildah"), label: "buildah"},
	}
	if round%2 == 1 {
		all[0], all[1] = all[1], all[0]
	}
	if round == 0 { // for comparison: once is enough
		all = append(all,
			&buildah{store: filepath.Join(dir, "stores", "level"), label: "buildah, our level", push: []string{"--compression-level", strconv.Itoa(gzip.Level)}},
			&slipway{store: filepath.Join(dir, "stores", "both"), forms: component.Forms()})
	}
	return all
}

func measure(ctx context.Context, c contender, round int, files string, r *report) error {
	server, err := serve()
	if err != nil {
		return err
	}
	defer server.close()
	unix.Sync() // nobody waits for what the other one has written
	began := time.Now()
	if err := c.run(ctx, files, server.address); err != nil {
		return err
	}
	r.add("cold", c.name(), time.Since(began))
	if err := server.check(ctx, r, c.name()); err != nil {
		return err
	}
	restore, err := change(filepath.Join(files, changed), round)
	if err != nil {
		return err
	}
	defer restore()
	unix.Sync()
	began = time.Now()
	if err := c.run(ctx, files, server.address); err != nil {
		return err
	}
	r.add("one changed", c.name(), time.Since(began))
	return server.check(ctx, nil, c.name())
}

// measureCompression is what is left of slipway's time without all but its compression.
func measureCompression(files string, r *report) error {
	for _, m := range []struct {
		scenario string
		names    []string
	}{{"cold", names()}, {"one changed", []string{changed}}} {
		began := time.Now()
		if err := compressAll(files, m.names); err != nil {
			return err
		}
		r.add(m.scenario, "our gzip alone", time.Since(began))
	}
	return nil
}

// prepare copies the binaries of the images out of the build cache.
func prepare(ctx context.Context, source, files string) (int64, error) {
	built, err := component.Build(ctx, component.Options{
		Sources: filepath.Join(source, "imagebuild", "component", "sources"), Names: names(),
	})
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(files, 0o755); err != nil {
		return 0, err
	}
	var size int64
	for _, b := range built {
		to := filepath.Join(files, b.Image.Name)
		if err := component.Extract(built, b.Image.Name, to); err != nil {
			return 0, err
		}
		st, err := os.Stat(to)
		if err != nil {
			return 0, err
		}
		size += st.Size()
	}
	return size, nil
}

// change appends to a file and returns what undoes it.
func change(file string, round int) (func(), error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(f, "changed in round %d\n", round); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return func() { _ = os.Truncate(file, st.Size()) }, nil
}
