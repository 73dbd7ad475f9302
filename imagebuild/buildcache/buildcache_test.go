package buildcache

import (
	"path/filepath"
	"testing"
)

func TestWhoIsNotRootHasACacheOfTheirOwn(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	if got := dirOf(1000); got != filepath.Join(home, ".cache", "slipway") {
		t.Error(got)
	}
	own := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", own)
	if got := dirOf(1000); got != filepath.Join(own, "slipway") {
		t.Error(got)
	}
	if got := dirOf(0); got != Default {
		t.Error(got)
	}
	t.Setenv("SLIPWAY_CACHE", own)
	if got := Dir(); got != own {
		t.Error(got)
	}
}
