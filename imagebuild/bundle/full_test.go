package bundle_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/test/smalldisk"
)

func TestAFullDiskLeavesTheArchiveOfBefore(t *testing.T) {
	f, disk := layouttest.New(t), smalldisk.Mount(t, 24<<10)
	out := filepath.Join(disk, "out.tar")
	if err := os.WriteFile(out, []byte("the one before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Create(t.Context(), out, source(t, f), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error = %v, want that of a full disk", err)
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "the one before" {
		t.Errorf("%v, %.40q", err, data)
	}
	if left, _ := os.ReadDir(disk); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAMirrorToAFullDiskGoesOnWhereThereIsRoomAgain(t *testing.T) {
	f, disk := layouttest.New(t), smalldisk.Mount(t, 24<<10)
	to := &bundle.ToLayout{Dir: filepath.Join(disk, "layout")}
	if _, err := bundle.Mirror(t.Context(), source(t, f), to, bundle.MirrorOptions{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error = %v, want that of a full disk", err)
	}
	if _, err := os.Stat(filepath.Join(to.Dir, "index.json")); err == nil {
		t.Error("an index names what is not whole")
	}
	blobs, err := os.ReadDir(filepath.Join(to.Dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		data, err := os.ReadFile(filepath.Join(to.Dir, "blobs", "sha256", b.Name()))
		if err != nil || layout.Digest(data) != "sha256:"+b.Name() {
			t.Errorf("half a blob: %s, %v", b.Name(), err)
		}
	}
	if err := unix.Mount("slipt", disk, "tmpfs", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	moved, err := bundle.Mirror(t.Context(), source(t, f), &bundle.ToLayout{Dir: to.Dir}, bundle.MirrorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if moved.Copied == 0 || moved.Copied+len(blobs) < moved.Blobs {
		t.Errorf("%d copied, %d were there, %d in all", moved.Copied, len(blobs), moved.Blobs)
	}
}
