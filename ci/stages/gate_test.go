package stages

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/lock"
)

// program compiles a program without anything but the standard library.
func program(t *testing.T, env ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module slipway.build/pause\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, ".")
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// layered writes a layout with one layer of entries, and the lock that names the file usr/bin/pause.
func layered(t *testing.T, platform string, content []byte, entries ...tar.Header) (*lock.Lock, string) {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	digest := "sha256:" + hex.EncodeToString(sum[:])
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blobPath(dir, digest), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	inner := sha256.Sum256(content)
	return &lock.Lock{Images: []lock.Image{{
		Name: "pause", Version: "v1.0.0", Source: lock.Source{Module: "slipway.build/pause", Version: "v1.0.0"},
		Platforms: []lock.Platform{{
			Platform: platform, Layers: []lock.Layer{{Digest: digest}},
			Files: []lock.Binary{{Path: "usr/bin/pause", SHA256: hex.EncodeToString(inner[:]), Size: int64(len(content))}},
		}},
	}}}, dir
}

// pauseFile is the entry of the program in its layer.
func pauseFile() tar.Header {
	return tar.Header{Name: "usr/bin/pause", Typeflag: tar.TypeReg, Mode: 0o755}
}

// complete gives a lock what the gate does not read and every lock has.
func complete(l *lock.Lock) {
	l.Schema = lock.Schema
	img, some := &l.Images[0], "sha256:"+strings.Repeat("0", 64)
	img.Repository, img.Index = "slipway/pause", some
	img.Source.Sum, img.Source.Packages, img.Source.Flags, img.Source.GoSum = "h1:RMis305ud4Jau4PYO4+j+Y3C5rV4Md6/atdJbfsWRZk=", []string{"slipway.build/pause"}, []string{"-trimpath"}, some
	p := &img.Platforms[0]
	p.Manifest, p.Size, p.Config = some, 1, some
	p.Layers[0].DiffID, p.Layers[0].Size = some, 1
}

// gated runs the gate over a layout.
func gated(t *testing.T, l *lock.Lock, dir string) error {
	t.Helper()
	return members(t.Context(), l, dir, t.TempDir(), gateEntry, func(m member) error {
		_, err := gateFile(m, l.Toolchain)
		return err
	})
}

func goVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestWhatIsNotAsTheLockSaysDoesNotPassTheGate(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles programs; not in short mode")
	}
	good := program(t)
	file := pauseFile()
	with := func(change func(*tar.Header)) []tar.Header {
		h := file
		change(&h)
		return []tar.Header{h}
	}
	toolchain := goVersion(t)
	for _, c := range []struct {
		name, want string
		platform   string
		content    []byte
		entries    []tar.Header
		change     func(*lock.Lock)
	}{
		{name: "as it should be"},
		{name: "set uid", want: "mode 4755", entries: with(func(h *tar.Header) { h.Mode = 0o4755 })},
		{name: "writable", want: "others may change it", entries: with(func(h *tar.Header) { h.Mode = 0o777 })},
		{name: "not executable", want: "not everybody may execute it", entries: with(func(h *tar.Header) { h.Mode = 0o744 })},
		{name: "of somebody", want: "belongs to 1000:0", entries: with(func(h *tar.Header) { h.Uid = 1000 })},
		{name: "a link", want: "is a link", entries: []tar.Header{file, {Name: "bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"}}},
		{name: "a device", want: "neither a file", entries: []tar.Header{file, {Name: "dev/null", Typeflag: tar.TypeChar}}},
		{name: "no program", want: "no Go build information", content: []byte("#!/bin/sh\n")},
		{name: "missing", want: "in no layer", entries: []tar.Header{{Name: "usr", Typeflag: tar.TypeDir, Mode: 0o755}}},
		{name: "other bytes", want: "the lock has", change: func(l *lock.Lock) { l.Images[0].Platforms[0].Files[0].SHA256 = strings.Repeat("0", 64) }},
		{name: "another toolchain", want: `toolchain is "` + toolchain, change: func(l *lock.Lock) { l.Toolchain = "go1.0" }},
		{name: "another module", want: `main module is "slipway.build/pause", want "m"`, change: func(l *lock.Lock) { l.Images[0].Source.Module = "m" }},
		{name: "another machine", want: "want 64-bit EM_AARCH64", platform: "linux/arm64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.platform == "" {
				c.platform = "linux/amd64"
			}
			if c.content == nil {
				c.content = good
			}
			if c.entries == nil {
				c.entries = []tar.Header{file}
			}
			l, dir := layered(t, c.platform, c.content, c.entries...)
			l.Toolchain = toolchain
			if c.change != nil {
				c.change(l)
			}
			err := gated(t, l, dir)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestALayerThatIsCutOffIsAnError(t *testing.T) {
	l, dir := layered(t, "linux/amd64", bytes.Repeat([]byte("x"), 100_000), tar.Header{Name: "usr/bin/pause", Typeflag: tar.TypeReg, Mode: 0o755})
	path := blobPath(dir, l.Images[0].Platforms[0].Layers[0].Digest)
	for _, size := range []int64{0, 1, 10, 60} {
		if err := os.Truncate(path, size); size <= 60 && err != nil {
			t.Fatal(err)
		}
		if err := gated(t, l, dir); err == nil {
			t.Errorf("%d bytes pass", size)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := members(ctx, l, dir, t.TempDir(), gateEntry, func(member) error { return nil }); err == nil {
		t.Error("a run that was ended goes on")
	}
}
