package progress

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// childVariable makes the test binary report on its own standard output, whatever that is.
const childVariable = "SLIPTEST_PROGRESS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		r := New(os.Stdout, Auto)
		r.Report(Update{Task: "a", Label: "image etcd", State: Running, Detail: "compiles"})
		r.Report(Update{Task: "a", Label: "image etcd", State: Done, Detail: "built"})
		r.Note("noted")
		r.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// inTerminal runs the child in a pseudo terminal that was prepared by the shell command.
func inTerminal(t *testing.T, prepare string) string {
	t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script(1), of Debian's bsdutils, is missing")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("script", "-qec", prepare+" && '"+self+"'", "/dev/null")
	cmd.Env = append(os.Environ(), childVariable+"=1", "TERM=xterm")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestATerminalGetsLiveLines(t *testing.T) {
	out := inTerminal(t, "stty cols 80 rows 24")
	if !strings.Contains(out, "✓ image etcd") || !strings.Contains(out, "built") || !strings.Contains(out, "noted") {
		t.Errorf("got %q", out)
	}
}

func TestATerminalWithoutSizeGetsPlainLines(t *testing.T) {
	out := inTerminal(t, "stty cols 0 rows 0")
	if !regexp.MustCompile(`image etcd: done in [0-9.]+s: built`).MatchString(out) || strings.Contains(out, "\x1b[") {
		t.Errorf("got %q", out)
	}
}
