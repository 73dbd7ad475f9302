package component_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/component"
)

// A component of one's own is a build module and a recipe. Its image goes to an OCI layout, and its
// entry to the lock.
func ExampleBuild() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	write(dir, "sources/hello/go.mod", "module example.org/hello\n\ngo 1.26.0\n")
	write(dir, "sources/hello/main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n")

	options := component.Options{
		Sources: filepath.Join(dir, "sources"), Cache: filepath.Join(dir, "cache"),
		Platforms: []string{"linux/amd64"}, Forms: component.Forms(),
		Recipes: []component.Recipe{{
			Image: "hello", Version: "v1.2.3", Source: "hello", Module: "example.org/hello",
			Programs: []component.Program{{Package: "example.org/hello", Path: "usr/bin/hello"}},
			Stamps:   []string{"main.version=${version}"},
		}},
	}
	built, err := component.Build(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	if err := component.WriteLayout(filepath.Join(dir, "layout"), built); err != nil {
		log.Fatal(err)
	}
	l, err := component.Compute(built)
	if err != nil {
		log.Fatal(err)
	}
	image := l.Images[0]
	fmt.Println(image.Repository, image.Version, image.Platforms[0].Platform, image.Platforms[0].Files[0].Path)

	again, err := component.Build(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("built again: from the cache", again[0].Cached, "and the same", again[0].Image.Index == image.Index)
	// Output:
	// slipway/hello v1.2.3 linux/amd64 usr/bin/hello
	// built again: from the cache true and the same true
}

// A program that exists already is packed as it is.
func ExamplePackFiles() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := write(dir, "hello", "a program")
	built, err := component.PackFiles(context.Background(), filepath.Join(dir, "cache"), component.Forms(), component.Files{
		Name: "hello", Version: "v1.2.3", Platform: "linux/amd64", Paths: map[string]string{"usr/bin/hello": program},
	})
	if err != nil {
		log.Fatal(err)
	}
	platform := built.Image.Platforms[0]
	fmt.Println(built.Image.Name, built.Image.Version, len(platform.Layers), "layer,", platform.Files[0].Size, "bytes in", platform.Files[0].Path)
	fmt.Println("gzip and zstd hold the same:", platform.Gzip.Layers[0].DiffID == platform.Layers[0].DiffID)
	// Output:
	// hello v1.2.3 1 layer, 9 bytes in usr/bin/hello
	// gzip and zstd hold the same: true
}

// write makes a file and returns where it is.
func write(dir, name, text string) string {
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}
	return file
}
