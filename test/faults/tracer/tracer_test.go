package tracer_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/faultpoint/trap"
	"slipway.build/slipway/test/faults/tracer"
)

const socketVariable = "SLIPT_TRACER_SOCKET"

// TestMain is also the traced program: it becomes a shell under the filter.
func TestMain(m *testing.M) {
	if socket := os.Getenv(socketVariable); socket != "" {
		err := trap.Exec(socket, "/bin/sh", append([]string{"sh"}, os.Args[1:]...), nil)
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func trace(t *testing.T, script string, handle tracer.Handler) error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("installs a seccomp filter; needs root")
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-ec", script)
	cmd.Env = append(os.Environ(), socketVariable+"="+socket)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program, err := tracer.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Run(handle); err != nil {
		t.Error(err)
	}
	return cmd.Wait()
}

func TestCallsAreSeenWithWhatTheyAreAbout(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	err := trace(t, "cd "+dir+"; echo hello >one; echo more >>one", func(c *tracer.Call) tracer.Verdict {
		if c.Tree(dir) {
			seen = append(seen, c.String()+" "+string(c.Data))
		}
		return tracer.Verdict{}
	})
	if err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, "one")
	want := []string{"open " + one + " ", "write " + one + " hello\n", "open " + one + " ", "write " + one + " more\n"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

func TestACallCanFailOrNeverHappen(t *testing.T) {
	dir := t.TempDir()
	for _, verdict := range []tracer.Verdict{{Errno: unix.ENOSPC}, {Kill: true}} {
		err := trace(t, "cd "+dir+"; echo before >before; : >one; echo after >after", func(c *tracer.Call) tracer.Verdict {
			if c.Name == "open" && filepath.Base(c.Path) == "one" {
				return verdict
			}
			return tracer.Verdict{}
		})
		if err == nil {
			t.Errorf("%+v: the program did not notice", verdict)
		}
		if _, err := os.Stat(filepath.Join(dir, "before")); err != nil {
			t.Errorf("%+v: %v", verdict, err)
		}
		for _, name := range []string{"one", "after"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%+v: %s was made all the same", verdict, name)
			}
		}
	}
}
