package launch

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
)

// supervise.sh joins the cgroup, detaches and watches over the command.
//
//go:embed supervise.sh
var supervise string

// Direct launches without a service manager.
type Direct struct{ Tree cgroup.Tree }

// Start implements Launcher.
func (d *Direct) Start(ctx context.Context, spec Spec) error {
	if err := spec.validate(); err != nil {
		return err
	}
	entry, err := d.Tree.Create(spec.Name, spec.Limits)
	if err != nil {
		return err
	}
	settled, err := d.Tree.Lock(spec.Name, true)
	if err != nil {
		return err
	}
	defer settled.Close()
	if pids, err := d.Tree.Processes(spec.Name); err != nil || len(pids) > 0 {
		return errors.Join(err, alreadyRunning(len(pids) > 0, spec.Name))
	}
	args := []string{"-c", supervise, spec.Name, strings.Join(entry.Outer, " "), strings.Join(entry.Inner, " "),
		strconv.Itoa(spec.RestartOn), spec.Log}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(args, spec.Command...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	// slipwayd runs with a group of its own, which the firewall knows; nodes must not have it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Groups: []uint32{0}}}
	// The shell holds the lock, too, until the command is in the group: should we be killed now, the
	// next one to ask waits for it, and does not start a second one.
	cmd.ExtraFiles = []*os.File{settled}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("launch %s: %w: %s", spec.Name, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

func alreadyRunning(running bool, name string) error {
	if running {
		return fmt.Errorf("launch %s: it is running already; stop it first", name)
	}
	return nil
}

// Running implements Launcher.
func (d *Direct) Running(_ context.Context, name string) (bool, error) {
	settled, err := d.Tree.Lock(name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer settled.Close()
	pids, err := d.Tree.Processes(name)
	return len(pids) > 0, err
}

// Processes implements Launcher.
func (d *Direct) Processes(_ context.Context, name string) ([]int, error) {
	return d.Tree.Processes(name)
}

// List implements Launcher.
func (d *Direct) List(_ context.Context, prefix string) ([]string, error) {
	return d.Tree.Names(prefix)
}

// Stop implements Launcher.
func (d *Direct) Stop(ctx context.Context, name string, grace time.Duration) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("stop: %q is no name of letters, digits and dashes", name)
	}
	if _, err := d.Running(ctx, name); err != nil { // once a start that is under way has settled
		return err
	}
	pids, err := d.Tree.Processes(name)
	if err != nil {
		return err
	}
	if main, ok := outermost(pids); ok && grace > 0 {
		if err := unix.Kill(main, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop %s: signal process %d: %w", name, main, err)
		}
		if err := d.waitEmpty(ctx, name, grace); err != nil {
			return err
		}
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if pids, err = d.Tree.Processes(name); err != nil {
			return err
		}
		if len(pids) == 0 {
			return d.Tree.Remove(ctx, name)
		}
		if main, ok := outermost(pids); ok {
			pids = append([]int{main}, pids...) // first, so that it starts nothing again
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("stop %s: kill process %d: %w", name, pid, err)
			}
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("stop %s: %d processes do not die: %w", name, len(pids), err)
		}
	}
}

// waitEmpty returns when no process is left or grace is over.
func (d *Direct) waitEmpty(ctx context.Context, name string, grace time.Duration) error {
	end := time.Now().Add(grace)
	for wait := 2 * time.Millisecond; time.Now().Before(end); wait = min(2*wait, 50*time.Millisecond) {
		if running, err := d.Running(ctx, name); err != nil || !running {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
