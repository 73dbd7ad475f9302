package component

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/lock"
)

func TestAnIndexListsGzipBeforeZstdForEachPlatform(t *testing.T) {
	f := newFixture(t)
	f.platforms, f.forms = Platforms(), Forms()
	b := f.build()
	if f.builds() != 2 || len(b.Image.Platforms) != 2 {
		t.Fatalf("%d builds for %d platforms", f.builds(), len(b.Image.Platforms))
	}
	text, err := Index(&b.Image)
	if err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range index.Manifests {
		form := "gzip"
		if m.Annotations["io.github.containers.compression.zstd"] == "true" {
			form = "zstd"
		}
		got = append(got, m.Platform.String()+" "+form)
		if st, err := os.Stat(b.blobs[m.Digest.String()]); err != nil || st.Size() != m.Size {
			t.Errorf("%s: %v", m.Digest, err)
		}
	}
	if want := "linux/amd64 gzip, linux/amd64 zstd, linux/arm64 gzip, linux/arm64 zstd"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestAMachineThatBuiltOnePartPublishesTheWholeIndex(t *testing.T) {
	f := newFixture(t)
	f.platforms, f.forms = Platforms(), Forms()
	all, err := Compute([]Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	f.platforms, f.forms = nil, nil
	part, err := Adopt(all, []Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Compute(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(Part(all, part), got); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := WriteLayout(dir, part); err != nil {
		t.Fatal(err)
	}
	if !hasDigest(filepath.Join(dir, "blobs", "sha256", all.Images[0].Index[7:]), all.Images[0].Index) {
		t.Error("the layout does not have the lock's index")
	}

	t.Run("but not if what it built is something else", func(t *testing.T) {
		f.recipe.User = "1:1"
		part, err := Adopt(all, []Built{f.build()})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Compute(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(Part(all, part), got); err == nil || !strings.Contains(err.Error(), "output index") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAnImageThatIsNotInTheCacheIsUnresolvedWhenNothingMayBeCompiled(t *testing.T) {
	f := newFixture(t)
	o := f.options()
	o.CachedOnly, o.Platforms = true, Platforms()
	built, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if img := built[0].Image; img.Unresolved != "not built yet: run slipway images build hello@v1.2.3" || len(img.Platforms) != 0 || f.builds() != 0 {
		t.Errorf("%+v after %d builds", img, f.builds())
	}
	f.build()
	if built, err = Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if img := built[0].Image; img.Unresolved != "" || len(img.Platforms) != 1 || f.builds() != 1 {
		t.Errorf("%+v after %d builds", img, f.builds())
	}
	if _, err := Compute(built); err != nil {
		t.Error(err)
	}
}

func TestAnIndexNeedsTheSizesOfManifests(t *testing.T) {
	img := &lock.Image{Name: "x", Version: "v1", Platforms: []lock.Platform{{Platform: "linux/amd64", Manifest: "sha256:" + strings.Repeat("0", 64)}}}
	if _, err := Index(img); err == nil || !strings.Contains(err.Error(), "size of manifest") {
		t.Errorf("error %v", err)
	}
}

func TestAReferenceIsAnEntryWithoutADigest(t *testing.T) {
	f := newFixture(t)
	f.recipe = Recipe{Image: "far", Version: "v1.0.0", Reference: "registry.example/far:v1.0.0", Unresolved: "no machine with a network has resolved it"}
	l, err := Compute([]Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	if img := l.Images[0]; img.Unresolved == "" || img.Source.Reference != f.recipe.Reference {
		t.Errorf("%+v", img)
	}
	if err := WriteLayout(t.TempDir(), []Built{f.build()}); err != nil {
		t.Error(err)
	}
	f.recipe.Unresolved = ""
	if _, err := Build(t.Context(), f.options()); err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("a reference without a reason: %v", err)
	}
}
