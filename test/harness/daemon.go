package harness

import (
	"fmt"
	"net"
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

// DaemonPID is the process id of the system's slipwayd, 0 when it does not run.
func (s *System) DaemonPID(t *testing.T) int {
	t.Helper()
	for _, pid := range processes(t) {
		argv := commandLine(pid)
		if len(argv) > 2 && filepath.Base(argv[0]) == "slipwayd" && slices.Contains(argv, s.State) {
			return pid
		}
	}
	return 0
}

// KillDaemon ends slipwayd as kill -9 does and returns once it is gone. Where process 1 is
// systemd it would be started again at once, so that is told first.
func (s *System) KillDaemon(t *testing.T) {
	t.Helper()
	pid := s.DaemonPID(t)
	if pid == 0 {
		t.Fatal("slipwayd does not run")
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("slipwayd is a unit here, which systemd starts again; this test wants to start it itself")
	}
	// A handle of the process becomes readable once it is gone with all its sockets, not before.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 20*time.Second, "the end of slipwayd", func() error {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if err == nil && n == 0 {
			err = fmt.Errorf("process %d lives", pid)
		}
		return err
	})
}

// StartDaemon starts slipwayd by its own command line, as `slipway up` does but without looking
// at the state directory before, and returns once its API answers. The test's end does not wait
// for it: `slipway down` ends it.
func (s *System) StartDaemon(t *testing.T, args ...string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.State, "slipwayd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
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
	go cmd.Wait() // so that no zombie is left; it ends with slipwayd
	Eventually(t, time.Minute, "slipwayd's answer", func() error {
		c, err := net.Dial("tcp", "127.0.0.1:9511")
		if err != nil {
			return err
		}
		return c.Close()
	})
}
