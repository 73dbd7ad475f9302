package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/trust"
)

func verify(t *testing.T, f *layouttest.Fixture, o trust.Options) *trust.Report {
	t.Helper()
	signed, err := trust.VerifyLock(f.Text, f.Signature, f.Keys)
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := trust.Verify(t.Context(), l, signed, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAWholeLayoutIsProved(t *testing.T) {
	f := layouttest.New(t)
	r := verify(t, f, trust.Options{Complete: true})
	if !r.Proved() || len(r.Absent) > 0 {
		t.Fatalf("findings %v, absent %v", r.Findings, r.Absent)
	}
	if r.Images != 4 || r.Files != 12 {
		t.Errorf("images %d, files %d", r.Images, r.Files)
	}
	if len(r.Attached) != 8 {
		t.Errorf("attached %+v", r.Attached)
	}
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if want := len(l.Digests()); r.Blobs != want {
		t.Errorf("hashed %d blobs of %d", r.Blobs, want)
	}
}

// blobs returns one digest of every kind of blob that a layout of ours has.
func blobs(f *layouttest.Fixture) map[string]string {
	img := f.Lock.ByName("b")[0]
	p := img.Platforms[0]
	return map[string]string{
		"index": img.Index, "manifest (zstd)": p.Manifest, "manifest (gzip)": p.Gzip.Manifest, "configuration": p.Config,
		"layer 1 of 2 (zstd)": p.Layers[0].Digest, "layer 2 of 2 (zstd)": p.Layers[1].Digest,
		"layer 1 of 2 (gzip)": p.Gzip.Layers[0].Digest, "SPDX": p.Evidence.SPDX, "provenance": p.Evidence.Provenance,
	}
}

func TestAFlippedByteInEveryKindOfBlobIsNamed(t *testing.T) {
	for part, digest := range blobs(layouttest.New(t)) {
		t.Run(part, func(t *testing.T) {
			f := layouttest.New(t)
			f.Flip(t, digest)
			data, err := os.ReadFile(f.Blob(digest))
			if err != nil {
				t.Fatal(err)
			}
			r := verify(t, f, trust.Options{})
			for _, got := range r.Findings {
				if got.Kind == trust.WrongDigest && got.Image == "b@v2.1.0" && got.Part == part && got.Blob == digest &&
					got.Expected == digest && got.Found == layout.Digest(data) {
					return
				}
			}
			t.Errorf("no finding names it: %v", r.Findings)
		})
	}
}

func TestAMissingBlobIsNamed(t *testing.T) {
	for part, digest := range blobs(layouttest.New(t)) {
		t.Run(part, func(t *testing.T) {
			f := layouttest.New(t)
			if err := os.Remove(f.Blob(digest)); err != nil {
				t.Fatal(err)
			}
			r := verify(t, f, trust.Options{})
			for _, got := range r.Findings {
				if got.Kind == trust.Missing && got.Blob == digest {
					return
				}
			}
			t.Errorf("no finding names it: %v", r.Findings)
		})
	}
}

func TestWhatIsMissingAsAWholeIsAbsent(t *testing.T) {
	f := layouttest.New(t)
	img := f.Lock.ByName("a")[0]
	p := img.Platforms[1]
	for _, d := range []string{p.Manifest, p.Gzip.Manifest, p.Config, p.Layers[0].Digest, p.Gzip.Layers[0].Digest} {
		if err := os.Remove(f.Blob(d)); err != nil {
			t.Fatal(err)
		}
	}
	r := verify(t, f, trust.Options{})
	if !r.Proved() || strings.Join(r.Absent, ", ") != "a@v1.0.0 linux/arm64 gzip, a@v1.0.0 linux/arm64 zstd" {
		t.Errorf("findings %v, absent %q", r.Findings, r.Absent)
	}
	if r := verify(t, f, trust.Options{Complete: true}); len(r.Findings) != 2 {
		t.Errorf("complete: %v", r.Findings)
	}
	if r := verify(t, f, trust.Options{Complete: true, Platforms: []string{"linux/amd64"}}); !r.Proved() {
		t.Errorf("complete for the other platform: %v", r.Findings)
	}
}

func TestWhatNobodyNamesIsReported(t *testing.T) {
	f := layouttest.New(t)
	extra := []byte("smuggled")
	digest := layout.Digest(extra)
	for name, data := range map[string][]byte{f.Blob(digest): extra, filepath.Join(f.Dir, "install.sh"): []byte("#!/bin/sh\n")} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", f.Blob(layout.Digest(nil))); err != nil {
		t.Fatal(err)
	}
	r := verify(t, f, trust.Options{})
	if len(r.Findings) != 3 || r.Findings[0].Kind != trust.Unnamed || r.Findings[0].Blob != digest ||
		r.Findings[1].Kind != trust.Stray || r.Findings[2].Blob != "install.sh" {
		t.Errorf("findings %v", r.Findings)
	}
	if r := verify(t, f, trust.Options{Also: map[string]string{digest: "lock 6"}}); len(r.Findings) != 2 {
		t.Errorf("with an earlier lock: %v", r.Findings)
	}
}

// swap replaces the layout's image by one whose digests all hold, and which the lock does not name.
func TestASwappedImageIsNotProved(t *testing.T) {
	f, other := layouttest.New(t), layouttest.Empty(t)
	other.Add(t, "a", "v1.0.0", []layouttest.File{{Path: "usr/bin/a", Content: "another program\n"}})
	other.Finish(t)
	if err := os.CopyFS(f.Dir+"/swapped", os.DirFS(other.Dir)); err != nil {
		t.Fatal(err)
	}
	for _, d := range digests(t, other.Dir) {
		data, err := os.ReadFile(other.Blob(d))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Blob(d), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(f.Dir + "/swapped"); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(other.Dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Dir, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	r := verify(t, f, trust.Options{})
	if !has(r, trust.Unnamed, other.Lock.Images[0].Index) || !has(r, trust.Unnamed, other.Lock.Images[0].Platforms[0].Manifest) {
		t.Errorf("findings %v", r.Findings)
	}
}

func TestALockSaysWhatALayerUnpacksTo(t *testing.T) {
	for what, change := range map[string]struct {
		of   func(p *lock.Platform)
		kind trust.Kind
	}{
		"another diff ID":      {func(p *lock.Platform) { p.Layers[0].DiffID = layout.Digest(nil) }, trust.WrongDiffID},
		"another file":         {func(p *lock.Platform) { p.Files[0].SHA256 = strings.Repeat("0", 64) }, trust.WrongFile},
		"a file more":          {func(p *lock.Platform) { p.Files = p.Files[:1] }, trust.WrongFile},
		"another file size":    {func(p *lock.Platform) { p.Files[1].Size++ }, trust.WrongFile},
		"another layer size":   {func(p *lock.Platform) { p.Layers[1].Size++ }, trust.WrongSize},
		"another config":       {func(p *lock.Platform) { p.Config = layout.Digest([]byte("{}")) }, trust.Contradiction},
		"another size":         {func(p *lock.Platform) { p.Size++ }, trust.Contradiction},
		"a platform that lies": {func(p *lock.Platform) { p.Platform = "linux/386" }, trust.Contradiction},
	} {
		t.Run(what, func(t *testing.T) {
			f := layouttest.New(t)
			change.of(&f.Lock.ByName("b")[0].Platforms[0])
			f.Finish(t)
			r := verify(t, f, trust.Options{})
			for _, got := range r.Findings {
				if got.Kind == change.kind && got.Image == "b@v2.1.0" && got.Expected != "" || got.Kind == trust.WrongFile {
					return
				}
			}
			t.Errorf("findings %v", r.Findings)
		})
	}
}

func TestAnOldLockAndAForeignKeyAreRefused(t *testing.T) {
	f, other := layouttest.New(t), layouttest.New(t)
	if _, err := trust.VerifyLock(f.Text, f.Signature, other.Keys); err == nil || !strings.Contains(err.Error(), "none of the 1 trusted keys") {
		t.Errorf("a foreign key: %v", err)
	}
	if _, err := trust.VerifyLock(f.Text, other.Signature, f.Keys); err == nil {
		t.Error("a foreign signature was believed")
	}
	changed := []byte(strings.Replace(string(f.Text), "number: 7", "number: 8", 1))
	if _, err := trust.VerifyLock(changed, f.Signature, f.Keys); err == nil {
		t.Error("a lock that was changed was believed")
	}
	both := append(append([]byte{}, other.Keys...), f.Keys...)
	s, err := trust.VerifyLock(f.Text, f.Signature, both)
	if err != nil || s.Key != f.Signer.ID() {
		t.Errorf("signed by %v, %v", s, err)
	}
	if one, err := trust.ByID(both, f.Signer.ID()); err != nil || !strings.Contains(string(one), "PUBLIC KEY") {
		t.Errorf("by id: %s, %v", one, err)
	}
	if _, err := trust.ByID(other.Keys, f.Signer.ID()); err == nil {
		t.Error("another key was taken for the one with that id")
	}
}

func has(r *trust.Report, kind trust.Kind, blob string) bool {
	for _, f := range r.Findings {
		if f.Kind == kind && f.Blob == blob {
			return true
		}
	}
	return false
}

func digests(t *testing.T, dir string) []string {
	t.Helper()
	l, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Digests()
}
