package pull_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
)

func file(path, seed string, n int) testimage.File {
	return testimage.File{Path: path, Content: testimage.Content(seed, n)}
}

// rooted is where a file of an image is in the store.
func rooted(p *pull.Puller, image *testimage.Image, path string) string {
	return filepath.Join(p.Store.Root(image.Platform().Manifest), path)
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

func TestAnUpgradeFetchesOnlyTheLayerThatChanged(t *testing.T) {
	old := testimage.New(t, "all", testimage.Gzip,
		[]testimage.File{file("usr/bin/a", "a", 300_000)}, []testimage.File{file("usr/bin/b", "b", 200_000)}, []testimage.File{file("usr/bin/c", "c", 100_000)})
	next := testimage.New(t, "all", testimage.Gzip,
		[]testimage.File{file("usr/bin/a", "a", 300_000)}, []testimage.File{file("usr/bin/b", "b2", 200_000)}, []testimage.File{file("usr/bin/c", "c", 100_000)})
	server := testimage.NewRegistry(t, nil, old, next)
	p := newPuller(t)
	if err := p.Pull(soon(t), []pull.Want{want(old)}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	before := p.Counts.Fetched.Load()
	var progress atomic.Int64
	if err := p.Pull(soon(t), []pull.Want{want(next)}, []string{server.URL}, func(n int64) { progress.Add(n) }); err != nil {
		t.Fatal(err)
	}
	if got := p.Counts.Fetched.Load() - before; got != next.Platform().Layers[1].Size {
		t.Errorf("fetched %d bytes, want the %d of the one layer", got, next.Platform().Layers[1].Size)
	}
	if got := p.Counts.Linked.Load(); got != 400_000 {
		t.Errorf("%d bytes of files linked, want 400000", got)
	}
	if progress.Load() != next.Platform().Bytes() {
		t.Errorf("progress ended at %d of %d", progress.Load(), next.Platform().Bytes())
	}
	for _, name := range []string{"usr/bin/a", "usr/bin/c"} {
		if !same(t, rooted(p, old, name), rooted(p, next, name)) {
			t.Errorf("%s is there twice", name)
		}
	}
	// Once the old image is gone the shared files stay, and can be shared again.
	if err := p.Store.Collect(map[string]bool{next.Platform().Manifest: true}); err != nil {
		t.Fatal(err)
	}
	if err := p.Pull(soon(t), []pull.Want{want(old)}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.Counts.Linked.Load(); got != 800_000 {
		t.Errorf("%d bytes of files linked in all, want 800000", got)
	}
}

func TestTheSameFileInAnotherImageIsLinked(t *testing.T) {
	first := testimage.New(t, "first", testimage.Gzip, []testimage.File{file("usr/bin/tool", "tool", 100_000)})
	second := testimage.New(t, "second", testimage.Zstd, []testimage.File{file("usr/lib/tool", "tool", 100_000)})
	server := testimage.NewRegistry(t, nil, first, second)
	p := newPuller(t)
	for _, image := range []*testimage.Image{first, second} {
		if err := p.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !same(t, rooted(p, first, "usr/bin/tool"), rooted(p, second, "usr/lib/tool")) {
		t.Error("the file is there twice")
	}
	if got := p.Counts.Fetched.Load(); got != first.Platform().Bytes() {
		t.Errorf("fetched %d bytes, want those of the first image, %d", got, first.Platform().Bytes())
	}
}

func TestWhatChangedAtRestIsNotShared(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"a flipped byte": func(t *testing.T, path string) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)/2] ^= 1
			if err := os.WriteFile(path, raw, 0o555); err != nil {
				t.Fatal(err)
			}
		},
		"a link to elsewhere": func(t *testing.T, path string) {
			if err := os.Rename(path, path+".right"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+".right", path); err != nil {
				t.Fatal(err)
			}
		},
		"a pipe": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := testimage.New(t, "all", testimage.Zstd, []testimage.File{file("usr/bin/a", "a", 50_000)}, []testimage.File{file("usr/bin/b", "b", 50_000)})
			next := testimage.New(t, "all", testimage.Zstd, []testimage.File{file("usr/bin/a", "a", 50_000)}, []testimage.File{file("usr/bin/b", "b2", 50_000)})
			server := testimage.NewRegistry(t, nil, old, next)
			p := newPuller(t)
			if err := p.Pull(soon(t), []pull.Want{want(old)}, []string{server.URL}, nil); err != nil {
				t.Fatal(err)
			}
			change(t, rooted(p, old, "usr/bin/a"))
			if err := p.Pull(soon(t), []pull.Want{want(next)}, []string{server.URL}, nil); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(rooted(p, next, "usr/bin/a"))
			if err != nil || testimage.Digest(raw) != testimage.Digest(testimage.Content("a", 50_000)) {
				t.Errorf("the new image has the changed file (%v)", err)
			}
			if p.Counts.Linked.Load() != 0 {
				t.Error("the changed file was counted as shared")
			}
		})
	}
}

func TestABlobForPodsIsShared(t *testing.T) {
	first := testimage.New(t, "one", testimage.Gzip, []testimage.File{file("bin/base", "base", 100_000)}, []testimage.File{file("bin/one", "one", 1000)})
	second := testimage.New(t, "two", testimage.Gzip, []testimage.File{file("bin/base", "base", 100_000)}, []testimage.File{file("bin/two", "two", 1000)})
	server := testimage.NewRegistry(t, nil, first, second)
	p := newPuller(t)
	for _, image := range []*testimage.Image{first, second} {
		w := want(image)
		w.Root, w.Layout = false, true
		if err := p.Pull(soon(t), []pull.Want{w}, []string{server.URL}, nil); err != nil {
			t.Fatal(err)
		}
	}
	shared := first.Platform().Layers[0]
	if got, want := p.Counts.Fetched.Load(), first.Platform().Bytes()+second.Platform().Layers[1].Size; got != want {
		t.Errorf("fetched %d bytes, want %d", got, want)
	}
	name := filepath.Join("blobs/sha256", strings.TrimPrefix(shared.Digest, "sha256:"))
	if !same(t, filepath.Join(p.Store.Layout(first.Platform().Manifest), name), filepath.Join(p.Store.Layout(second.Platform().Manifest), name)) {
		t.Error("the blob is there twice")
	}
}

func TestADiskWithoutRoomIsSeenBeforeTheFirstByte(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{file("usr/bin/etcd", "etcd", 1<<20)})
	server := testimage.NewRegistry(t, nil, image)
	p := newPuller(t)
	p.Reserve = 1 << 60
	err := p.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil)
	var room *pull.NoRoomError
	if !errors.As(err, &room) || fault.KindOf(err) != fault.Retriable {
		t.Fatalf("error %v, want a retriable NoRoomError", err)
	}
	if room.Needed < 1<<60+1<<20 || room.Free <= 0 || !strings.Contains(err.Error(), "nothing was fetched") {
		t.Errorf("%+v: %v", room, err)
	}
	if p.Counts.Fetched.Load() != 0 || len(leftovers(t, p.Store)) != 0 {
		t.Errorf("fetched %d bytes, left %v", p.Counts.Fetched.Load(), leftovers(t, p.Store))
	}
	p.Reserve = 0
	if err := p.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestBandwidthSlowsAPull(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Tar, []testimage.File{file("usr/bin/etcd", "etcd", 300_000)})
	server := testimage.NewRegistry(t, nil, image)
	p := newPuller(t)
	p.Bandwidth = 500_000
	begin := time.Now()
	if err := p.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("300,000 bytes at 500,000 a second took %s", took)
	}
}

func TestACancelledPullLeavesNothing(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Tar, []testimage.File{file("usr/bin/etcd", "etcd", 4<<20)})
	server := testimage.NewRegistry(t, nil, image)
	p := newPuller(t)
	p.Bandwidth = 100_000
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Pull(ctx, []pull.Want{want(image)}, []string{server.URL}, func(int64) { cancel() })
	if fault.KindOf(err) != fault.Retriable {
		t.Errorf("error %v, want a retriable one", err)
	}
	if names := leftovers(t, p.Store); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
}
