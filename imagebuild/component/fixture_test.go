package component

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fixture is a build module with one tiny program, a cache, and a go command that logs its
// builds.
type fixture struct {
	t       *testing.T
	sources string
	cache   string
	goTool  string
	log     string
	recipe  Recipe
	// platforms and forms are empty for the host's and zstd.
	platforms []string
	forms     []Form

	mu     sync.Mutex
	events []Event
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{
		t:       t,
		sources: filepath.Join(dir, "sources"),
		cache:   filepath.Join(dir, "cache"),
		goTool:  filepath.Join(dir, "go"),
		log:     filepath.Join(dir, "builds"),
		recipe: Recipe{
			Image: "hello", Version: "v1.2.3", Source: "hello", Module: "slipway.build/hello",
			Programs: []Program{{"slipway.build/hello", "usr/bin/hello"}},
			Stamps:   []string{"main.version=${version}"},
		},
	}
	f.write("hello/go.mod", "module slipway.build/hello\n\ngo 1.26.0\n")
	f.write("hello/main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n")
	f.useGo("")
	return f
}

// useGo makes a go command that runs extra shell before each build.
func (f *fixture) useGo(extra string) {
	f.t.Helper()
	real, err := exec.LookPath("go")
	if err != nil {
		f.t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = build ]; then\necho build >>%q\n%s\nfi\nexec %q \"$@\"\n", f.log, extra, real)
	if err := os.WriteFile(f.goTool, []byte(script), 0o755); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(name, content string) {
	f.t.Helper()
	file := filepath.Join(f.sources, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) options() Options {
	return Options{Sources: f.sources, Cache: f.cache, Go: f.goTool, Recipes: []Recipe{f.recipe}, Platforms: f.platforms, Forms: f.forms, Progress: func(e Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}}
}

// phases returns the phases seen since the last call, without repetitions.
func (f *fixture) phases() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, e := range f.events {
		if len(all) == 0 || all[len(all)-1] != string(e.Phase) {
			all = append(all, string(e.Phase))
		}
	}
	f.events = nil
	return strings.Join(all, " ")
}

// builds counts the runs of go build so far.
func (f *fixture) builds() int {
	f.t.Helper()
	b, err := os.ReadFile(f.log)
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return strings.Count(string(b), "build\n")
}

func (f *fixture) build() Built {
	f.t.Helper()
	built, err := Build(f.t.Context(), f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	if len(built) != 1 {
		f.t.Fatalf("%d images", len(built))
	}
	return built[0]
}

// binary is where the cache has the fixture's program.
func (b *Built) binary() string { return b.File(HostPlatform(), "usr/bin/hello") }

// intact says whether every blob of the image is right in the cache.
func (b *Built) intact() bool {
	for digest, file := range b.blobs {
		if !hasDigest(file, digest) {
			return false
		}
	}
	return len(b.blobs) > 0
}
