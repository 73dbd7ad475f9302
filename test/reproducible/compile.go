package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/component"
)

// compileTwice compiles a component in two directories, each time from an empty cache of the go
// command's, and reports whether both gave the same image.
func compileTwice(ctx context.Context, source, work, name string) (bool, error) {
	before := os.Getenv("GOCACHE")
	defer os.Setenv("GOCACHE", before)
	var indexes []string
	for _, place := range []string{"first", "second/and/elsewhere"} {
		dir := filepath.Join(work, place)
		sources := filepath.Join(dir, "sources")
		if err := os.CopyFS(sources, os.DirFS(filepath.Join(source, "imagebuild", "component", "sources"))); err != nil {
			return false, err
		}
		if err := os.Setenv("GOCACHE", filepath.Join(dir, "gocache")); err != nil {
			return false, err
		}
		built, err := component.Build(ctx, component.Options{Sources: sources, Cache: filepath.Join(dir, "cache"), Names: []string{name}})
		if err != nil {
			return false, err
		}
		indexes = append(indexes, built[0].Image.Index)
		fmt.Printf("%-40s %s\n", "compiled "+name, built[0].Image.Index)
		if err := os.RemoveAll(dir); err != nil {
			return false, err
		}
	}
	return indexes[0] == indexes[1], nil
}
