package component

import (
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// two are recipes of the same program, of which the second is new.
func (f *fixture) two() []Recipe {
	f.t.Helper()
	other := f.recipe
	other.Image, other.Programs = "other", []Program{{"slipway.build/hello", "usr/bin/other"}}
	return []Recipe{f.recipe, other}
}

// locked is the lock of images that are built here.
func (f *fixture) locked(recipes ...Recipe) *lock.Lock {
	f.t.Helper()
	o := f.options()
	o.Recipes = recipes
	built, err := Build(f.t.Context(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	l, err := Compute(built)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

func TestALockIsCompletedByTheOneBefore(t *testing.T) {
	f := newFixture(t)
	committed := f.locked(f.recipe)
	o := f.options()
	o.Recipes, o.Names = f.two(), []string{"other"}
	built, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Complete(committed, built, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Differences(f.locked(o.Recipes...), got); len(diff) > 0 || len(got.Images) != 2 {
		t.Errorf("it is not the lock of building both: %v", diff)
	}
	without, err := Complete(committed, nil, Options{Recipes: o.Recipes[:1], Sources: f.sources})
	if err != nil || len(Differences(committed, without)) > 0 {
		t.Errorf("with nothing new it is not what it was: %v", err)
	}
}

func TestAChangedImageIsNotKept(t *testing.T) {
	tests := []struct {
		name   string
		change func(f *fixture, committed *lock.Lock, recipes []Recipe)
		want   string
	}{
		{"its sources", func(f *fixture, _ *lock.Lock, _ []Recipe) { f.write("hello/more.go", "package main\n") }, "hello@v1.2.3 cannot stay as the lock has it: module sum was h1:"},
		{"its flags", func(_ *fixture, _ *lock.Lock, r []Recipe) { r[0].Tags = []string{"x"} }, "flags was CGO_ENABLED=0 "},
		{"its version", func(_ *fixture, _ *lock.Lock, r []Recipe) { r[0].Version = "v1.2.4" }, "hello@v1.2.4 cannot stay as the lock has it: it is not in there; build it too"},
		{"the toolchain", func(_ *fixture, l *lock.Lock, _ []Recipe) { l.Toolchain = "go1.26.6" }, "build all images"},
		{"its Debian package", func(f *fixture, l *lock.Lock, _ []Recipe) {
			l.Images[0].Platforms[0].Debian = []lock.Package{{Name: "bird", Version: "1.6.8-2"}}
			f.write("debian/amd64.json", "[]")
			f.write("debian/arm64.json", "[]")
		}, "its package bird for "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			committed, recipes := f.locked(f.recipe), slices.Clone(f.two()[:1])
			tt.change(f, committed, recipes)
			got, err := Complete(committed, nil, Options{Recipes: recipes, Sources: f.sources})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, lock %v\nwant one with %q", err, got, tt.want)
			}
		})
	}
}

func TestAReferenceStaysWhatItsRecipeSays(t *testing.T) {
	upstream := Recipe{Image: "fluentd", Version: "v1.19.0", Reference: "docker.io/fluent/fluentd:v1.19.0", Unresolved: "not fetched"}
	resolved := upstream.entry()
	resolved.Unresolved, resolved.Source.Reference = "", upstream.Reference+"@sha256:"+strings.Repeat("0", 64)
	now := upstream.entry()
	if changed := changedInputs(&resolved, &now); len(changed) > 0 {
		t.Errorf("resolving it changed %v", changed)
	}
	got, err := Complete(&lock.Lock{Schema: lock.Schema, Toolchain: Toolchain, Images: []lock.Image{resolved}}, nil, Options{Recipes: []Recipe{upstream}})
	if err != nil || len(got.Images) != 1 || got.Images[0].Unresolved == "" {
		t.Errorf("lock %v (%v)", got, err)
	}
}
