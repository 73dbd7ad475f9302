package basetree

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake is an installer that leaves a few files of a Debian.
func fake(t *testing.T, installs *int) installer {
	return func(_ context.Context, _ Options, _ recipe, dir string) error {
		*installs++
		for path, text := range map[string]string{
			"usr/share/doc/x/copyright": "text", "etc/machine-id": "0123", "var/lib/dpkg/status": "packages",
			"usr/lib/systemd/system/sysinit.target.wants/a.service": "", "usr/lib/systemd/system/keep.service": "", "outside": "",
		} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
				return err
			}
		}
		return os.Symlink("/etc", filepath.Join(dir, "usr/share/info"))
	}
}

func small() recipe {
	return recipe{
		Version: 1, Suite: "test",
		Remove: []string{"usr/share/doc", "usr/share/info", "usr/lib/systemd/system/*.wants/*", "usr/share/never-there"},
		Files:  map[string]file{"etc/machine-id": {0o444, ""}, "usr/lib/new/init": {0o755, "#!/bin/sh\n"}},
		Links:  map[string]string{"etc/mtab": "../proc/self/mounts"},
		Moves:  map[string]string{"var/lib/dpkg": "usr/lib/new/dpkg"},
	}
}

func TestATreeIsTrimmedAndCompletedAsItsRecipeSays(t *testing.T) {
	installs := 0
	dir, err := build(context.Background(), Options{Cache: t.TempDir()}, small(), fake(t, &installs))
	if err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{
		"usr/share/doc": false, "usr/share/info": false, "usr/lib/systemd/system/sysinit.target.wants/a.service": false,
		"usr/lib/systemd/system/keep.service": true, "usr/lib/new/dpkg/status": true, "var/lib/dpkg": false,
	} {
		if _, err := os.Lstat(filepath.Join(dir, path)); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, mode := range map[string]os.FileMode{"etc/machine-id": 0o444, "usr/lib/new/init": 0o755} {
		if st, err := os.Stat(filepath.Join(dir, path)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	if target, _ := os.Readlink(filepath.Join(dir, "etc/mtab")); target != "../proc/self/mounts" {
		t.Errorf("mtab -> %q", target)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Error("removing a link has followed it")
	}
}

func TestATreeIsMadeOnceAndAnInterruptedBuildIsNoTree(t *testing.T) {
	cache, installs := t.TempDir(), 0
	half := filepath.Join(cache, "basetree", ".work", "half")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := build(context.Background(), Options{Cache: cache}, small(), fake(t, &installs))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first, "half")); err == nil {
		t.Error("the tree has what an interrupted build left")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if again, err := build(context.Background(), Options{Cache: cache}, small(), fake(t, &installs)); err != nil || again != first {
				t.Errorf("again: %s, %v", again, err)
			}
		})
	}
	wg.Wait()
	if installs != 1 {
		t.Errorf("installed %d times", installs)
	}
	other := small()
	other.Remove = nil
	if third, err := build(context.Background(), Options{Cache: cache}, other, fake(t, &installs)); err != nil || third == first {
		t.Errorf("another recipe has the tree %s, %v", third, err)
	}
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	failed := errors.New("no mirror")
	_, err := build(context.Background(), Options{Cache: cache}, small(), func(_ context.Context, _ Options, _ recipe, dir string) error {
		return errors.Join(failed, os.WriteFile(filepath.Join(dir, "x"), nil, 0o644))
	})
	if !errors.Is(err, failed) {
		t.Errorf("error = %v", err)
	}
	entries, _ := os.ReadDir(filepath.Join(cache, "basetree"))
	for _, e := range entries {
		if e.Name() != ".lock" {
			t.Errorf("left %s", e.Name())
		}
	}
	if _, err := Build(context.Background(), Options{Cache: "relative"}); err == nil {
		t.Error("a relative cache was accepted")
	}
}

func TestLinesOfDebootstrapAreSteps(t *testing.T) {
	var got []Progress
	last := follow(strings.NewReader(strings.Join([]string{
		"I: Retrieving InRelease ", "I: Checking Release signature", "I: Retrieving systemd 252.39-1", "I: Validating dbus 1.14", "I: Unpacking dbus...",
		"I: Configuring libc-bin...", "W: something", "I: Base system installed successfully.", "E: bad",
	}, "\n")), func(p Progress) { got = append(got, p) })
	want := []Progress{{"retrieve", "InRelease"}, {"retrieve", "systemd"}, {"validate", "dbus"}, {"unpack", "dbus"}, {"configure", "libc-bin"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(last) != 5 || last[4] != "E: bad" {
		t.Errorf("last lines %q", last)
	}
}

func TestNoPathOfTheRecipeLeadsOutOfTheTree(t *testing.T) {
	r := debian()
	check := func(path string) {
		if path == "" || filepath.IsAbs(path) || strings.Contains(path, "..") {
			t.Errorf("%q", path)
		}
	}
	for _, p := range r.Remove {
		check(p)
	}
	for p := range r.Files {
		check(p)
	}
	for p := range r.Links {
		check(p)
	}
	for from, to := range r.Moves {
		check(from)
		check(to)
	}
	if Init != "/usr/lib/slipway-base/init" || r.Files[strings.TrimPrefix(Init, "/")].Mode != 0o755 {
		t.Error("the first process is not among the files")
	}
	if r.digest() == small().digest() {
		t.Error("two recipes have one digest")
	}
}
