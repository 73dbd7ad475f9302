package component

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

func TestAHitCompilesNothing(t *testing.T) {
	f := newFixture(t)
	first := f.build()
	if got := f.phases(); got != "queued building packing packed" {
		t.Errorf("first build: %s", got)
	}
	second := f.build()
	if got := f.phases(); got != "queued cached" {
		t.Errorf("second build: %s", got)
	}
	if !second.Cached || first.Cached || f.builds() != 1 {
		t.Errorf("cached %v then %v, %d builds", first.Cached, second.Cached, f.builds())
	}
	if !reflect.DeepEqual(first.Image, second.Image) {
		t.Errorf("the cache gives another image:\n%+v\n%+v", first.Image, second.Image)
	}
	out, err := exec.Command(second.binary()).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "v1.2.3" {
		t.Errorf("the program says %q, %v", out, err)
	}
}

func TestEveryInputChangesTheKeyOfAProgram(t *testing.T) {
	f := newFixture(t)
	keyOf := func(r Recipe) string {
		t.Helper()
		in, err := readInputs(f.sources, r, HostPlatform())
		if err != nil {
			t.Fatal(err)
		}
		return in.programKey(r.Programs[0].Package)
	}
	base := keyOf(f.recipe)
	for name, change := range map[string]func(*Recipe){
		"version": func(r *Recipe) { r.Version = "v1.2.4" },
		"tags":    func(r *Recipe) { r.Tags = []string{"x"} },
		"stamps":  func(r *Recipe) { r.Stamps = nil },
	} {
		r := f.recipe
		change(&r)
		if keyOf(r) == base {
			t.Errorf("%s does not change the key", name)
		}
	}
	for _, file := range []string{"hello/go.mod", "hello/go.sum", "hello/main.go", "hello/extra.go"} {
		old, _ := os.ReadFile(filepath.Join(f.sources, file))
		f.write(file, string(old)+"\n// changed\n")
		if keyOf(f.recipe) == base {
			t.Errorf("%s does not change the key", file)
		}
		base = keyOf(f.recipe)
	}
	r := f.recipe
	r.HostTools, r.Kubernetes, r.User, r.Image = []string{"mount"}, []string{"1.36"}, "1:1", "hi"
	r.Programs = []Program{{"slipway.build/hello", "usr/bin/hi"}}
	if keyOf(r) != base {
		t.Error("what decides nothing about a program changes its key")
	}
	other, err := readInputs(f.sources, f.recipe, "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	host, _ := readInputs(f.sources, f.recipe, "linux/amd64")
	if other.programKey("slipway.build/hello") == host.programKey("slipway.build/hello") {
		t.Error("the platform does not change the key")
	}
}

func TestADamagedEntryIsMadeAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(Built) []string // files to overwrite
		builds int
	}{
		{"a layer: packed again from the binary", func(b Built) []string {
			return []string{b.blobs[b.Image.Platforms[0].Layers[0].Digest]}
		}, 1},
		{"the manifest: packed again from the binary", func(b Built) []string {
			return []string{b.blobs[b.Image.Platforms[0].Manifest]}
		}, 1},
		{"layer and binary: compiled again", func(b Built) []string {
			return []string{
				b.blobs[b.Image.Platforms[0].Layers[0].Digest],
				b.binary(),
			}
		}, 2},
		{"entry.json: compiled again", func(b Built) []string {
			return []string{filepath.Join(filepath.Dir(b.binary()), "entry.json")}
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			first := f.build()
			for _, file := range tt.damage(first) {
				if err := errors.Join(os.Chmod(file, 0o644), os.WriteFile(file, []byte("damaged"), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			second := f.build()
			if !reflect.DeepEqual(first.Image, second.Image) {
				t.Error("another image came out")
			}
			if f.builds() != tt.builds {
				t.Errorf("%d builds, want %d", f.builds(), tt.builds)
			}
			if !second.intact() {
				t.Error("the entry is still damaged")
			}
		})
	}
}

func TestTwoBuildersAtOnceCompileOnce(t *testing.T) {
	f := newFixture(t)
	gate := filepath.Join(t.TempDir(), "go-on")
	f.useGo("while [ ! -e '" + gate + "' ]; do sleep 0.05; done")
	waiting := make(chan struct{})
	var once sync.Once
	o := f.options()
	o.Progress = func(e Event) {
		if e.Phase == Waiting {
			once.Do(func() { close(waiting) })
		}
	}
	built := make([][]Built, 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range built {
		wg.Go(func() { built[i], errs[i] = Build(t.Context(), o) })
	}
	<-waiting
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if f.builds() != 1 || built[0][0].Cached == built[1][0].Cached {
		t.Errorf("%d builds, cached %v and %v", f.builds(), built[0][0].Cached, built[1][0].Cached)
	}
}

func TestCancelEndsTheCompilerToo(t *testing.T) {
	f := newFixture(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	f.useGo("sleep 600 & echo $! >'" + pidFile + ".new'; mv '" + pidFile + ".new' '" + pidFile + "'; wait")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Build(ctx, f.options())
		done <- err
	}()
	pid := waitForPID(t, pidFile)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	waitGone(t, pid)
	f.useGo("")
	if f.build().Cached {
		t.Error("the cancelled build left an entry")
	}
}

// TestKilledBuilderHelper is not a test: TestKill starts it as a process of its own.
func TestKilledBuilderHelper(t *testing.T) {
	if os.Getenv("SLIPT_COMPONENT_HELPER") == "" {
		t.Skip("runs as a process of TestKill")
	}
	f := fixture{t: t, sources: os.Getenv("SLIPT_SOURCES"), cache: os.Getenv("SLIPT_CACHE"), goTool: os.Getenv("SLIPT_GO")}
	f.recipe = newFixture(t).recipe
	f.build()
}

func TestKillLeavesNeitherLockNorCompilerNorHalfAnEntry(t *testing.T) {
	f := newFixture(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	f.useGo("echo $$ >'" + pidFile + ".new'; mv '" + pidFile + ".new' '" + pidFile + "'; exec sleep 600")
	helper := exec.Command(os.Args[0], "-test.run=^TestKilledBuilderHelper$")
	helper.Env = append(os.Environ(), "SLIPT_COMPONENT_HELPER=1", "SLIPT_SOURCES="+f.sources, "SLIPT_CACHE="+f.cache, "SLIPT_GO="+f.goTool)
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	pid := waitForPID(t, pidFile)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	waitGone(t, pid)
	if left, _ := filepath.Glob(filepath.Join(f.cache, "*", "*.work")); len(left) != 1 {
		t.Fatalf("the helper was not killed in the middle: %v", left)
	}
	f.useGo("")
	if b := f.build(); b.Cached {
		t.Error("the killed build left an entry")
	}
	if left, _ := filepath.Glob(filepath.Join(f.cache, "*", "*.work")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// deadline is generous: it only bounds a test that hangs.
const deadline = 4 * time.Minute

func waitForPID(t *testing.T, file string) string {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	t.Fatal("the command did not start")
	return ""
}

// waitGone waits until a process has ended; a zombie has.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
	}
	t.Errorf("process %s lives on", pid)
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name  string
		setUp func(*fixture)
		want  string
	}{
		{"a compile error", func(f *fixture) { f.write("hello/main.go", "package main\n\nfunc main() { nonsense() }\n") }, "undefined: nonsense"},
		{"no build module", func(f *fixture) { f.recipe.Source = "none" }, "build module of hello"},
		{"a module that is not required", func(f *fixture) {
			f.recipe.Module = "example.com/other"
			f.recipe.Programs[0].Package = "example.com/other/cmd"
		}, "sources/hello/go.mod does not require example.com/other"},
		{"a package outside its module", func(f *fixture) { f.recipe.Programs[0].Package = "example.com/x" }, "is not in module"},
		{"an unknown stamp", func(f *fixture) { f.recipe.Stamps = []string{"main.version=${commit}"} }, "no value for ${commit}"},
		{"an absolute path", func(f *fixture) { f.recipe.Programs[0].Path = "/usr/bin/hello" }, "not a clean relative path"},
		{"no go command", func(f *fixture) { f.goTool = filepath.Join(f.cache, "none") }, "install Go 1.21 or later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			tt.setUp(f)
			_, err := Build(t.Context(), f.options())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "build hello v1.2.3 for linux/") {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if got := f.phases(); !strings.HasSuffix(got, "failed") {
				t.Errorf("events: %s", got)
			}
		})
	}
	f := newFixture(t)
	o := f.options()
	o.Names = []string{"nothing"}
	if _, err := Build(t.Context(), o); err == nil || err.Error() != `no image "nothing"; there are hello` {
		t.Errorf("an unknown name: %v", err)
	}
}

// The bytes must not depend on where sources and caches are, nor on the user's settings.
func TestTheSameSourcesGiveTheSameDigestsAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a part of Go's library")
	}
	committed, err := lock.Load("../../images.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		place string
		names []string
		cold  bool // with a Go build cache of its own
	}{
		{"one", []string{"cni", "pause"}, false},
		{"two/deeper", []string{"pause"}, true},
	} {
		sources := filepath.Join(t.TempDir(), tt.place, "sources")
		for _, n := range tt.names {
			if err := os.CopyFS(filepath.Join(sources, n), os.DirFS(filepath.Join("sources", n))); err != nil {
				t.Fatal(err)
			}
		}
		config := filepath.Join(t.TempDir(), "goenv")
		if err := os.WriteFile(config, []byte("GOFLAGS=-tags=netgo\nGOAMD64=v3\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GOENV", config)
		t.Setenv("GOFLAGS", "-ldflags=-X=main.version=evil")
		if tt.cold {
			t.Setenv("GOCACHE", filepath.Join(t.TempDir(), "gocache"))
		}
		t.Setenv("CGO_ENABLED", "1")
		built, err := Build(t.Context(), Options{Sources: sources, Cache: t.TempDir(), Names: tt.names})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range built {
			adopted, err := Adopt(committed, []Built{b})
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := Compute(adopted)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(Part(committed, adopted), fresh); err != nil {
				t.Errorf("%s: %v", tt.place, err)
			}
		}
	}
}
