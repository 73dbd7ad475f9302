package testnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/plan"
)

// Boot starts the container. It shares the host's network, so that loopback leads to the test.
func (n *Node) Boot() error {
	args := []string{"systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--boot",
		"--directory=" + n.root(), "--machine=" + n.name, "--capability=all",
		"--system-call-filter=@keyring bpf perf_event_open @mount", "--console=pipe",
		"--bind=" + n.State("") + ":" + plan.Root, "--kill-signal=SIGRTMIN+3"}
	if n.shares {
		args = append(args, "--bind="+n.Shared("")+":"+Harness)
	}
	script, err := n.enterCgroup()
	if err != nil {
		return fmt.Errorf("make the cgroups of %s: %w", n.name, err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Stdout, cmd.Stderr = &n.console, &n.console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("boot %s: %w", n.name, err)
	}
	done := make(chan struct{})
	n.cmd, n.done = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	return nil
}

// Leader returns the host's pid of the container's systemd, 0 when there is none.
func (n *Node) Leader() int {
	if n.cmd == nil {
		return 0
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", n.cmd.Process.Pid, n.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, child := range strings.Fields(string(raw)) {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "NSpid:" && fields[2] == "1" {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	return 0
}

// Do runs a command in the container and returns what it said; an error says that, too.
func (n *Node) Do(ctx context.Context, args ...string) (string, error) {
	leader := n.Leader()
	if leader == 0 {
		return "", errors.New("the container does not run")
	}
	const limit = 2 * time.Minute // for what hangs in a broken node
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(leader), "--all", "--"}, args...)...).CombinedOutput()
	out := strings.TrimSpace(string(raw))
	if err != nil {
		err = fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return out, err
}

// Journal returns the end of the container's journal, for a person, or what the container said on
// its console when there is no journal to ask.
func (n *Node) Journal(ctx context.Context, lines int) string {
	out, err := n.Do(ctx, "journalctl", "--no-pager", "--quiet", "--lines="+strconv.Itoa(lines))
	if err != nil {
		return out + n.console.String()
	}
	return out
}

// AwaitReboot waits until the container went down to boot again, and boots it.
func (n *Node) AwaitReboot(ctx context.Context) error {
	select {
	case <-n.done:
	case <-ctx.Done():
		return fmt.Errorf("%s does not go down: %w", n.name, ctx.Err())
	}
	// nspawn leaves a reboot to whoever keeps its unit, and says so by this code.
	const restart = 133
	if code := n.cmd.ProcessState.ExitCode(); code != restart {
		return fmt.Errorf("%s went down with code %d, want %d:\n%s", n.name, code, restart, n.console.String())
	}
	n.cmd = nil
	if err := n.clearCgroups(); err != nil {
		return err
	}
	return n.Boot()
}

// PowerOff ends the container at once, as a power loss would for its processes.
func (n *Node) PowerOff() error {
	if n.cmd == nil {
		return nil
	}
	if leader := n.Leader(); leader != 0 {
		_ = syscall.Kill(leader, syscall.SIGKILL)
	}
	select {
	case <-n.done:
	case <-time.After(time.Minute):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
	n.cmd = nil
	return n.clearCgroups()
}

// clear removes everything of this or an earlier run.
func (n *Node) clear() error {
	if err := n.PowerOff(); err != nil {
		return err
	}
	if err := n.clearCgroups(); err != nil {
		return err
	}
	for _, mount := range []string{n.State(""), n.root()} {
		for unix.Unmount(mount, unix.MNT_DETACH) == nil {
		}
	}
	return os.RemoveAll(n.dir)
}
