package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the group id that slipwayd runs with. The local cloud's firewall knows it by that
// id, and so can prove that slipwayd never dials into a cluster.
const Group = 64723

// systemdRunning is the directory that exists exactly where PID 1 is systemd (sd_booted(3)).
const systemdRunning = "/run/systemd/system"

// Daemon is slipwayd with one state directory.
type Daemon struct {
	Binary string   // path of slipwayd
	State  string   // its state directory; it tells one daemon from another
	Args   []string // further arguments after `serve --state State`
	Inputs []string // files that it reads when it starts: a later change asks for a new one
	Log    string   // file that its output is appended to
	Unit   string   // name of the transient unit where PID 1 is systemd: "slipwayd.service"
	// Ready reports whether slipwayd answers; Start waits for it.
	Ready func(ctx context.Context) error
}

// Status says whether slipwayd runs.
type Status struct {
	PID     int  // 0 when it does not run
	Current bool // it runs the present binary with the present arguments and inputs
}

func (d *Daemon) program() string { return filepath.Base(d.Binary) }

func (d *Daemon) args() []string { return append([]string{"serve", "--state", d.State}, d.Args...) }

// Status looks for the running slipwayd.
func (d *Daemon) Status() (Status, error) {
	found, err := find("/proc", d.program(), d.State)
	if err != nil || len(found) == 0 {
		return Status{}, err
	}
	p := found[0]
	return Status{PID: p.pid, Current: len(found) == 1 && slices.Equal(p.args, d.args()) && p.runs(d.Binary) && !p.olderThan(d.Inputs)}, nil
}

// Start starts slipwayd when it does not run, replaces it when it runs another binary with
// other arguments or on older inputs, and returns when it answers. It reports whether it started one.
func (d *Daemon) Start(ctx context.Context) (started bool, err error) {
	status, err := d.Status()
	if err != nil {
		return false, err
	}
	if status.PID != 0 && !status.Current {
		if err := d.Stop(ctx); err != nil {
			return false, fmt.Errorf("replace the running slipwayd: %w", err)
		}
		status.PID = 0
	}
	var ended <-chan error
	if status.PID == 0 {
		if ended, err = d.launch(ctx); err != nil {
			return false, err
		}
		started = true
	}
	return started, d.await(ctx, ended)
}

// await returns when slipwayd answers, when it has ended, or when a minute has passed.
func (d *Daemon) await(ctx context.Context, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := d.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("slipwayd was started but does not answer: %w; its log is %s%s", err, d.Log, d.tail())
		case err := <-ended:
			return fmt.Errorf("slipwayd ended at once (%v); its log is %s%s", err, d.Log, d.tail())
		case <-tick.C:
		}
	}
}

// tail returns the last lines of the log for an error message.
func (d *Daemon) tail() string {
	b, err := os.ReadFile(d.Log)
	if err != nil || len(b) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return ", its end:\n  " + strings.Join(lines, "\n  ")
}

// launch starts slipwayd apart from this process. The channel tells when it ends while this
// process still lives; it is nil where systemd watches it.
func (d *Daemon) launch(ctx context.Context) (<-chan error, error) {
	if err := os.MkdirAll(filepath.Dir(d.Log), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of slipwayd's log: %w", err)
	}
	if exists(systemdRunning) {
		return nil, d.launchUnit(ctx)
	}
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open slipwayd's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(d.Binary, d.args()...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uint32(os.Getuid()), Gid: Group}}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start slipwayd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with slipwayd or with this process
	return ended, nil
}

// launchUnit starts slipwayd as a transient unit. KillMode=process, because the containers
// that it started must outlive it; setpriv, because Group= wants a name.
func (d *Daemon) launchUnit(ctx context.Context) error {
	args := []string{"--unit=" + d.Unit, "--collect", "--service-type=exec", "--quiet",
		"--property=KillMode=process", "--property=Restart=on-failure", "--property=RestartSec=100ms",
		"--property=LimitNOFILE=1048576", "--property=Delegate=yes",
		"--property=StandardOutput=append:" + d.Log, "--property=StandardError=append:" + d.Log,
		"setpriv", fmt.Sprintf("--regid=%d", Group), "--clear-groups", d.Binary}
	out, err := exec.CommandContext(ctx, "systemd-run", append(args, d.args()...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("start slipwayd as %s: %w: %s", d.Unit, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// grace is how long slipwayd has to end by itself.
const grace = 20 * time.Second

// Stop ends slipwayd, with SIGTERM and after 20 seconds with SIGKILL, and returns when it is
// gone. It succeeds when none runs.
func (d *Daemon) Stop(ctx context.Context) error {
	if exists(systemdRunning) {
		// Or systemd would start it again. A unit that does not exist is fine.
		stop := exec.CommandContext(ctx, "systemctl", "stop", d.Unit)
		if out, err := stop.CombinedOutput(); err != nil && !strings.Contains(string(out), "not loaded") {
			return fmt.Errorf("stop %s: %w: %s", d.Unit, err, strings.TrimSpace(string(out)))
		}
	}
	found, err := find("/proc", d.program(), d.State)
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range found {
		problems = append(problems, p.end(ctx, d.program(), d.State))
	}
	return errors.Join(problems...)
}

func (p process) end(ctx context.Context, program, state string) error {
	fd, alive, err := p.open(program, state)
	if err != nil || !alive {
		return err
	}
	defer unix.Close(fd)
	for _, try := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, grace}, {unix.SIGKILL, grace}} {
		if err := unix.PidfdSendSignal(fd, try.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end slipwayd (process %d): %w", p.pid, err)
		}
		gone, err := waitGone(ctx, fd, try.wait)
		if err != nil || gone {
			return err
		}
	}
	return fmt.Errorf("slipwayd (process %d) does not end, not even by SIGKILL", p.pid)
}

// waitGone waits until the process behind fd has ended: such a handle becomes readable then.
func waitGone(ctx context.Context, fd int, limit time.Duration) (bool, error) {
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for slipwayd to end: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}
