package livemedia

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/livemedia/initrd"
)

// initramfs makes one as distributions do: an uncompressed archive, then a compressed one.
func initramfs(t *testing.T, compress string) string {
	t.Helper()
	dir := t.TempDir()
	script := `mkdir -p early/kernel main/bin
echo microcode >early/kernel/x; echo busybox >main/bin/sh
(cd early && find . | cpio -o -H newc --quiet) >initrd
(cd main && find . | cpio -o -H newc --quiet | ` + compress + `) >>initrd`
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	return filepath.Join(dir, "initrd")
}

func TestContentBehindAnInitialRAMDiskIsFoundAgain(t *testing.T) {
	for _, compress := range []string{"gzip -9", "xz --check=crc32", "zstd -q", "cat"} {
		t.Run(compress, func(t *testing.T) {
			if _, err := exec.LookPath(strings.Fields(compress)[0]); err != nil {
				t.Fatalf("make test-deps installs it: %v", err)
			}
			ctx, file := context.Background(), initramfs(t, compress)
			before := bytesOf(t, file)
			if _, _, err := Unwrap(bytes.NewReader(before), int64(len(before))); !errors.Is(err, initrd.ErrNone) {
				t.Errorf("before: %v", err)
			}
			if err := Append(ctx, file, content(), false, "", nil); err != nil {
				t.Fatal(err)
			}
			after := bytesOf(t, file)
			c, at, err := Unwrap(bytes.NewReader(after), int64(len(after)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c, content()) || at%initrd.Align != 0 || len(after)%initrd.Align != 0 {
				t.Errorf("at %d of %d: %+v", at, len(after), c)
			}
			if !bytes.Equal(after[:len(before)], before) || !zero(after[len(before):at]) || at-int64(len(before)) >= initrd.Align {
				t.Error("what was there before has changed")
			}
			other := Content{Config: []byte("{}")}
			if err := Append(ctx, file, other, false, "", nil); !errors.Is(err, ErrEmbedded) {
				t.Errorf("a second time: %v", err)
			}
			if err := Append(ctx, file, other, true, "", nil); err != nil {
				t.Fatal(err)
			}
			again := bytesOf(t, file)
			if c, where, err := Unwrap(bytes.NewReader(again), int64(len(again))); err != nil || where != at || !reflect.DeepEqual(c, other) {
				t.Errorf("by force: at %d: %+v, %v", where, c, err)
			}
		})
	}
}

func TestWrappedContentIsWholeByItself(t *testing.T) {
	b, err := Wrap(content())
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Wrap(content()); !bytes.Equal(b, again) || len(b)%initrd.Align != 0 {
		t.Error("not the same bytes each time, or not aligned")
	}
	if c, at, err := Unwrap(bytes.NewReader(b), int64(len(b))); err != nil || at != 0 || !reflect.DeepEqual(c, content()) {
		t.Errorf("unwrapped at %d: %+v, %v", at, c, err)
	}
	file := filepath.Join(t.TempDir(), "x.xz")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "xz -dc "+file+" | cpio -t --quiet").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "config.ign\netc\n") {
		t.Errorf("xz and cpio: %v: %s", err, out)
	}
}
