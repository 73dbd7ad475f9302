package generator_test

import (
	"os"
	"path/filepath"
	"testing"

	"slipway.build/slipway/agent/generator"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestUnitsAreShownAndTheStartListIsWanted(t *testing.T) {
	base, out := t.TempDir(), t.TempDir()
	current := filepath.Join(base, "current")
	generation := filepath.Join(base, "generations", "7")
	write(t, filepath.Join(generation, "units", "slipway-a.service"), "[Service]\nRootDirectory="+current+"/roots/a\nBindReadOnlyPaths="+current+"/files/a\n")
	write(t, filepath.Join(generation, "units", "slipway-b.socket"), "[Socket]\n")
	write(t, filepath.Join(generation, "start"), "slipway-a.service\nslipway-gone.service\n../x\n")
	if err := os.Symlink("generations/7", current); err != nil {
		t.Fatal(err)
	}
	if err := generator.Generate(current, out); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(out, "slipway-a.service"))
	if want := "[Service]\nRootDirectory=" + generation + "/roots/a\nBindReadOnlyPaths=" + current + "/files/a\n"; err != nil || string(raw) != want {
		t.Errorf("unit %q (%v), want %q", raw, err, want)
	}
	if target, err := os.Readlink(filepath.Join(out, "slipway-b.socket")); err != nil || target != filepath.Join(current, "units", "slipway-b.socket") {
		t.Errorf("socket is a link to %q (%v)", target, err)
	}
	wanted, err := os.ReadDir(filepath.Join(out, "multi-user.target.wants"))
	if err != nil || len(wanted) != 1 || wanted[0].Name() != "slipway-a.service" {
		t.Errorf("wanted: %v (%v), want slipway-a.service alone", wanted, err)
	}
}

func TestWithoutAGenerationThereIsNothing(t *testing.T) {
	out := t.TempDir()
	if err := generator.Generate(filepath.Join(t.TempDir(), "current"), out); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(out); len(entries) != 0 {
		t.Errorf("made %v", entries)
	}
}
