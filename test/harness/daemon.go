package harness

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// group is the group id that slipwayd runs with; the local cloud's firewall knows it.
const group = 64723

// Endpoint is where slipwayd serves tenants.
const Endpoint = "http://127.0.0.1:9511/v1"

// daemon is a slipwayd that the test has started itself.
type daemon struct {
	process *os.Process
	ended   chan struct{} // closed once it has ended and been waited for
	err     error         // how it ended
}

// daemonState returns the state directory of a slipwayd, by its command line.
func daemonState(argv []string) (state string, ok bool) {
	if len(argv) < 2 || filepath.Base(argv[0]) != "slipwayd" || argv[1] != "serve" {
		return "", false
	}
	if state, ok := argument(argv, "--state"); ok {
		return state, true
	}
	return "/var/lib/slipway", true
}

// DaemonPID is the process id of the system's slipwayd, 0 when it does not run.
func (s *System) DaemonPID(t *testing.T) int {
	t.Helper()
	pids := outermost(slices.DeleteFunc(processes(t), func(pid int) bool { return !s.isDaemon(pid) }))
	switch len(pids) {
	case 0:
		return 0
	case 1:
		return pids[0]
	}
	t.Fatalf("more than one slipwayd runs: processes %v", pids)
	return 0
}

func (s *System) isDaemon(pid int) bool {
	state, ok := daemonState(commandLine(pid))
	return ok && state == s.State
}

// booted reports whether process 1 is systemd: sd_booted(3).
func booted() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// OwnDaemon makes sure that the running slipwayd is one that KillDaemon ends for good. Where
// process 1 is systemd, slipwayd is a unit that would be started again at once; it is stopped
// and started as a process of this test.
func (s *System) OwnDaemon(t *testing.T) {
	t.Helper()
	if !booted() {
		return
	}
	if _, err := try(time.Minute, nil, "systemctl", "stop", "slipwayd.service"); err != nil {
		t.Fatal(err)
	}
	if pid := s.DaemonPID(t); pid != 0 {
		t.Fatalf("slipwayd (process %d) runs on without its unit", pid)
	}
	s.StartDaemon(t)
}

// KillDaemon ends slipwayd as kill -9 does and returns once it is gone.
func (s *System) KillDaemon(t *testing.T) {
	t.Helper()
	if booted() && s.daemon == nil {
		t.Fatal("slipwayd is a unit here, which systemd starts again: the test has to call OwnDaemon first")
	}
	pid := s.DaemonPID(t)
	if pid == 0 {
		t.Fatal("slipwayd does not run")
	}
	// A handle of the process becomes readable once it is gone with all its sockets, not before.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if !s.isDaemon(pid) { // the id may have been given away before the handle was ours
		t.Fatalf("slipwayd (process %d) has just ended by itself", pid)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	Eventually(t, time.Minute, "the end of slipwayd", func() error {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if err == nil && n == 0 {
			err = fmt.Errorf("process %d lives", pid)
		}
		return err
	})
	if s.daemon != nil {
		<-s.daemon.ended
		s.daemon = nil
	}
}

// StartDaemon starts slipwayd by its own command line, as `slipway up` does but without looking
// at the state directory before, and returns once its API answers. `slipway down` ends it, at
// the end of the test at the latest.
func (s *System) StartDaemon(t *testing.T, args ...string) {
	t.Helper()
	name := filepath.Join(s.State, "slipwayd.log")
	log, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.Program("slipwayd"), append([]string{"serve", "--state", s.State}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Gid: group}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &daemon{process: cmd.Process, ended: make(chan struct{})}
	go func() { // ends with slipwayd; endDaemon waits for it
		defer close(d.ended)
		d.err = cmd.Wait()
	}()
	s.daemon = d
	client := http.Client{Timeout: 10 * time.Second}
	Eventually(t, 5*time.Minute, "slipwayd's answer", func() error {
		select {
		case <-d.ended:
			b, _ := os.ReadFile(name)
			t.Fatalf("slipwayd has ended (%v); its log: %s", d.err, Tail(string(b)))
		default:
		}
		answer, err := client.Get(Endpoint + "/clusters")
		if err != nil {
			return err
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	})
}

// endDaemon waits for the slipwayd that the test has started, which `slipway down` has told to
// end, and ends it by force when it does not.
func (s *System) endDaemon(t *testing.T) {
	t.Helper()
	if s.daemon == nil {
		return
	}
	select {
	case <-s.daemon.ended:
	case <-time.After(time.Minute):
		t.Errorf("slipwayd (process %d) outlives `slipway down`", s.daemon.process.Pid)
		if err := s.daemon.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-s.daemon.ended
	}
	s.daemon = nil
}
