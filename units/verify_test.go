package units_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/units"
)

// systemd's own parser is the oracle: it must find nothing to say about what we render, and
// must object where a value would be taken for something else.
func TestSystemdAcceptsWhatIsRendered(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: make deps installs systemd")
	}
	line, err := units.CommandLine("/bin/true", "a b", `q"u'o\te`, "100%", "$HOME", ";", "", "tab\t", "größe")
	if err != nil {
		t.Fatal(err)
	}
	env, err := units.Environment("A=x y", "B=%n", `C="`)
	if err != nil {
		t.Fatal(err)
	}
	u := units.Unit{Name: "slipt-units-oracle.service"}
	u.Add("Unit", "Description", "Oracle; with # signs = and [brackets]")
	u.Add("Service", "ExecStart", line)
	u.Add("Service", "Environment", env)
	u.Add("Service", "CapabilityBoundingSet", "")
	verify := func(u units.Unit) string {
		t.Helper()
		text, err := u.Render()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), u.Name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
		said := strings.TrimSpace(string(out))
		if err != nil && said == "" {
			said = err.Error()
		}
		return said
	}
	if said := verify(u); said != "" {
		t.Errorf("systemd-analyze verify says:\n%s", said)
	}
	u.Add("Service", "NoSuchOption", "1")
	if said := verify(u); !strings.Contains(said, "NoSuchOption") {
		t.Errorf("an unknown option passes the oracle: %q", said)
	}
}
