package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary the daemon itself when it is called as one:
// `sliptest-d serve --state DIR --behaviour NAME …`.
func TestMain(m *testing.M) {
	if len(os.Args) > 5 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[3], os.Args[5]))
	}
	os.Exit(m.Run())
}

func serve(state, behaviour string) int {
	fmt.Println(os.Getgid())
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if behaviour == "ends-at-once" {
		fmt.Fprintln(os.Stderr, "address already in use")
		return 3
	}
	if err := os.WriteFile(filepath.Join(state, "ready"), nil, 0o600); err != nil {
		return 1
	}
	end := time.After(10 * time.Minute) // whatever became of the test
	for {
		select {
		case <-term:
			if behaviour == "obedient" {
				return 0
			}
		case <-end:
			return 0
		}
	}
}

// newDaemon returns a daemon of its own state directory that behaves as named.
func newDaemon(t *testing.T, behaviour string) *Daemon {
	t.Helper()
	if exists(systemdRunning) {
		t.Skip("PID 1 is systemd here: the transient unit is tested end to end")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to take the daemon's group")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sliptest-d")
	if err := os.WriteFile(binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Binary: binary, State: dir, Args: []string{"--behaviour", behaviour}, Log: filepath.Join(dir, "log"), Unit: "sliptest-d.service"}
	d.Ready = func(context.Context) error {
		if !exists(filepath.Join(dir, "ready")) {
			return errors.New("not ready")
		}
		return nil
	}
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestADaemonIsStartedOnceFoundAndStopped(t *testing.T) {
	d := newDaemon(t, "obedient")
	started, err := d.Start(t.Context())
	if err != nil || !started {
		t.Fatalf("started %v, %v", started, err)
	}
	first, err := d.Status()
	if err != nil || first.PID == 0 || !first.Current {
		t.Fatalf("status %+v, %v", first, err)
	}
	started, err = d.Start(t.Context())
	if err != nil || started {
		t.Fatalf("the second start: started %v, %v", started, err)
	}
	log, err := os.ReadFile(d.Log)
	if err != nil || strings.TrimSpace(string(log)) != "64723" {
		t.Errorf("the daemon's group is %q, %v", log, err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, _ := d.Status(); s.PID != 0 {
		t.Errorf("still runs: %+v", s)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func TestADaemonWithOtherArgumentsIsReplaced(t *testing.T) {
	d := newDaemon(t, "obedient")
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := d.Status()
	d.Args = append(d.Args, "--listen", "elsewhere")
	if s, _ := d.Status(); s.Current {
		t.Error("a daemon with other arguments counts as current")
	}
	if started, err := d.Start(t.Context()); err != nil || !started {
		t.Fatalf("started %v, %v", started, err)
	}
	after, _ := d.Status()
	if after.PID == before.PID || !after.Current {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestADaemonOnOlderInputsIsReplaced(t *testing.T) {
	d := newDaemon(t, "obedient")
	input := filepath.Join(d.State, "lock")
	if err := os.WriteFile(input, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Inputs = []string{input}
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := d.Status()
	if !before.Current {
		t.Fatal("a daemon that was just started is not current")
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(input, later, later); err != nil {
		t.Fatal(err)
	}
	if s, _ := d.Status(); s.Current {
		t.Error("a daemon on older inputs counts as current")
	}
}

func TestADaemonThatEndsAtOnceIsReportedWithItsLog(t *testing.T) {
	d := newDaemon(t, "ends-at-once")
	_, err := d.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), d.Log) {
		t.Errorf("got %v", err)
	}
}

func TestADaemonThatIgnoresTheRequestToEndIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the grace time; not in short mode")
	}
	d := newDaemon(t, "stubborn")
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if time.Since(begun) < grace {
		t.Error("it was killed before its grace time was over")
	}
}
