package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/durable"
)

// names lists a directory.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}

func TestAFileIsReplacedWithItsModeWhateverTheUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	path := filepath.Join(t.TempDir(), "file")
	for content, mode := range map[string]os.FileMode{"public": 0o644, "secret": 0o400} {
		if err := durable.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		raw, err2 := os.ReadFile(path)
		if err := errors.Join(err, err2); err != nil || info.Mode().Perm() != mode || string(raw) != content {
			t.Errorf("%q with mode %v, %v; want %q with %v", raw, info.Mode(), err, content, mode)
		}
	}
	if left := names(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

func TestAFailedWriteLeavesTheOldFileAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := durable.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteOwned(path, []byte("new"), 0o644, "nobody-is-called-that"); err == nil {
		t.Error("an owner who is unknown got a file")
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", "by"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "taken"), []byte("new"), 0o644); err == nil {
		t.Error("a directory was replaced by a file")
	}
	raw, err := os.ReadFile(path)
	if left := names(t, dir); err != nil || string(raw) != "old" || len(left) != 2 {
		t.Errorf("%q, %v; in the directory are %v", raw, err, left)
	}
}

func TestASweepTakesWhatNobodyWritesAnyMore(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, ".slipway-tmp-file-1")
	file, err := os.Create(temp)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".slipway-tmp-tree/deep", "stays"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 2 || left[0] != filepath.Base(temp) {
		t.Errorf("beside a writer: %v", left)
	}
	if err := file.Close(); err != nil { // as the kernel does for one that was killed
		t.Fatal(err)
	}
	if err := errors.Join(durable.Sweep(dir), durable.Sweep(filepath.Join(dir, "nowhere"))); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 1 || left[0] != "stays" {
		t.Errorf("after it: %v", left)
	}
}

func TestWritersAndASweepDoNotGetInEachOthersWay(t *testing.T) {
	dir := t.TempDir()
	const writers, writes = 4, 25
	ended := make(chan error, writers)
	for w := range writers {
		go func() {
			var errs error
			for i := range writes {
				errs = errors.Join(errs, durable.WriteFile(filepath.Join(dir, strconv.Itoa(w)), []byte(strconv.Itoa(i)), 0o644))
			}
			ended <- errs
		}()
	}
	for left := writers; left > 0; {
		if err := durable.Sweep(dir); err != nil {
			t.Error(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			left--
		default:
		}
	}
	if left := names(t, dir); len(left) != writers {
		t.Errorf("in the directory are %v", left)
	}
}

func TestALinkAndATreeChangeAtOnce(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	for _, target := range []string{"generations/1", "generations/2"} {
		if err := durable.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("it points to %q, %v", got, err)
		}
	}
	tree := filepath.Join(dir, "a", "b")
	if err := durable.MkdirAll(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	// What an interrupted removal left is in the way of nobody.
	if err := os.MkdirAll(filepath.Join(dir, ".slipway-tmp-a", "left"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := durable.RemoveAll(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tree: %v", err)
	}
	if left := names(t, dir); len(left) != 1 || left[0] != "current" {
		t.Errorf("left over: %v", left)
	}
}
