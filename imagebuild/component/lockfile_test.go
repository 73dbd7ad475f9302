package component

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

func TestTheLockOfABuildReadsBackAndChecks(t *testing.T) {
	f := newFixture(t)
	l, err := Compute([]Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	Issue(nil, l, time.Now(), LockLife)
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := WriteLock(file, l); err != nil {
		t.Fatal(err)
	}
	back, err := lock.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(back, l); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "# The lock: ") {
		t.Errorf("no header: %.40s (%v)", text, err)
	}
}

func TestALockIsNumberedAnewWhenItSaysSomethingNew(t *testing.T) {
	began := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	first := &lock.Lock{Schema: lock.Schema, Toolchain: Toolchain}
	Issue(nil, first, began, time.Hour)
	if first.Number != 1 || !first.IssuedAt().Equal(began) || !first.ExpiresAt().Equal(began.Add(time.Hour)) {
		t.Errorf("the first: %+v", first)
	}
	same := &lock.Lock{Schema: lock.Schema, Toolchain: Toolchain}
	Issue(first, same, began.Add(time.Minute), time.Hour)
	if same.Number != 1 || same.Issued != first.Issued || same.Expires != first.Expires {
		t.Errorf("the same again: %+v", same)
	}
	other := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.8"}
	Issue(first, other, began.Add(time.Minute), time.Hour)
	if other.Number != 2 || !other.IssuedAt().Equal(began.Add(time.Minute)) {
		t.Errorf("something new: %+v", other)
	}
}

func TestCheckNamesWhatDiffers(t *testing.T) {
	f := newFixture(t)
	built := []Built{f.build()}
	tests := []struct {
		name   string
		change func(*lock.Lock)
		want   []string
	}{
		{"the toolchain", func(l *lock.Lock) { l.Toolchain = "go1.26.6" }, []string{"all images: input toolchain: committed go1.26.6, built go1.26.7", "inputs differ"}},
		{"go.sum", func(l *lock.Lock) { l.Images[0].Source.GoSum = "sha256:0" }, []string{"hello@v1.2.3: input go.sum: committed sha256:0"}},
		{"flags", func(l *lock.Lock) { l.Images[0].Source.Flags = nil }, []string{"hello@v1.2.3: input flags: committed none, built CGO_ENABLED=0 "}},
		{"the module sum", func(l *lock.Lock) { l.Images[0].Source.Sum = "h1:0" }, []string{"hello@v1.2.3: input module sum"}},
		{"the binary", func(l *lock.Lock) { l.Images[0].Platforms[0].Files[0].SHA256 = "0" }, []string{"hello@v1.2.3: output sha256 of usr/bin/hello for linux/amd64", "not reproducible on this machine"}},
		{"the diffID", func(l *lock.Lock) { l.Images[0].Platforms[0].Layers[0].DiffID = "0" }, []string{"hello@v1.2.3: output diffID of layer 0 for linux/amd64"}},
		{"the layer", func(l *lock.Lock) { l.Images[0].Platforms[0].Layers[0].Digest = "0" }, []string{"hello@v1.2.3: output digest of layer 0 for linux/amd64"}},
		{"the manifest", func(l *lock.Lock) { l.Images[0].Platforms[0].Manifest = "0" }, []string{"hello@v1.2.3: output manifest for linux/amd64"}},
		{"the index", func(l *lock.Lock) { l.Images[0].Index = "0" }, []string{"hello@v1.2.3: output index: committed 0"}},
		{"a missing image", func(l *lock.Lock) { l.Images = nil }, []string{"hello@v1.2.3: input recipe: committed none, built present"}},
		{"an image of another platform", func(l *lock.Lock) { l.Images[0].Platforms[0].Platform = "linux/arm64" }, []string{"manifest for linux/arm64: committed sha256:", "manifest for linux/amd64: committed none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fresh, err := Compute(built)
			if err != nil {
				t.Fatal(err)
			}
			// Through the file form, so that the change touches nothing shared.
			text, err := fresh.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			committed, err := lock.Parse("x", text)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(committed)
			err = Check(committed, fresh)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v\nwant one with %q", err, want)
				}
			}
		})
	}
}

func TestInputsComeBeforeOutputs(t *testing.T) {
	f := newFixture(t)
	old, err := Compute([]Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	f.recipe.Tags = []string{"x"}
	fresh, err := Compute([]Built{f.build()})
	if err != nil {
		t.Fatal(err)
	}
	diff := Differences(old, fresh)
	outputs := false
	for _, d := range diff {
		if d.Input && outputs {
			t.Errorf("%s comes after an output", d)
		}
		outputs = outputs || !d.Input
	}
	if !outputs || !diff[0].Input {
		t.Errorf("differences %v", diff)
	}
}
