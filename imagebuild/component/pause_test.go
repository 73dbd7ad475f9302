package component

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The real pause image's program, as the first process of a process namespace.
func TestPauseReapsOrphansAndEndsOnSIGTERM(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a process namespace needs root")
	}
	built, err := Build(t.Context(), Options{Sources: "sources", Cache: t.TempDir(), Names: []string{"pause"}})
	if err != nil {
		t.Fatal(err)
	}
	pause := exec.Command(built[0].File(HostPlatform(), "usr/bin/pause"))
	pause.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := pause.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pause.Process.Kill() }()
	pid := pause.Process.Pid

	// A shell in the namespace leaves a child behind, which becomes pause's and is ended.
	out, err := exec.Command("nsenter", "--target", fmt.Sprint(pid), "--pid", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo left").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "left" {
		t.Fatalf("nsenter: %s %v", out, err)
	}
	adopted := false
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		now := children(t, pid)
		for _, child := range now {
			adopted = true
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		if adopted && len(now) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("adopted %v, children left: %v", adopted, now)
		}
	}
	if err := pause.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- pause.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("pause ended with %v", err)
		}
	case <-time.After(deadline):
		t.Error("pause does not end on SIGTERM")
	}
}

// children returns a process's children, zombies among them.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, child)
		}
	}
	return all
}
