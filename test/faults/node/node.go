package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/basetree"
)

// Harness is where the node sees the directory that it shares with the test.
const Harness = "/slipt"

// Node is a container with the agent in it. Its names begin with its machine name, by which what
// an earlier, killed run left is found and cleared.
type Node struct {
	Name string

	tree string
	dir  string // upper, work, root, state, harness
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// BaseTree returns a Debian tree with systemd, or skips the test and says what it lacks.
func BaseTree(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a container; not in short mode")
	}
	if os.Geteuid() != 0 {
		t.Skip("boots a container; needs root")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("boots a container; install systemd-container (make deps)")
	}
	if tree := os.Getenv("SLIPWAY_BASETREE"); tree != "" {
		return tree
	}
	cache := os.Getenv("SLIPWAY_CACHE")
	if cache == "" {
		cache = "/var/cache/slipway"
	}
	tree, err := basetree.Build(t.Context(), basetree.Options{Cache: cache})
	if err != nil {
		t.Fatalf("make the base tree: %v", err)
	}
	return tree
}

// New prepares a root: the base tree below, and above it what the OS layer brings, with agent
// and supervisor as the two programs that run there. It is removed at the end of the test.
func New(t testing.TB, name, tree, agent, supervisor string, layer map[string]string) *Node {
	t.Helper()
	// In memory: what a lost cache loses is the power-loss model's part, not this one's.
	base := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm"
	}
	n := &Node{Name: name, tree: tree, dir: filepath.Join(base, name)}
	if err := n.clear(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.clear(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	if err := n.prepare(agent, supervisor, layer); err != nil {
		t.Fatalf("prepare the node %s: %v", name, err)
	}
	return n
}

func (n *Node) prepare(agent, supervisor string, layer map[string]string) error {
	for _, sub := range []string{"upper", "work", "root", "state", "harness"} {
		if err := os.MkdirAll(filepath.Join(n.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", n.root(), "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", n.tree, filepath.Join(n.dir, "upper"), filepath.Join(n.dir, "work"))); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	if err := unix.Mount("tmpfs", n.State(), "tmpfs", 0, "mode=0755,size=256m"); err != nil {
		return fmt.Errorf("mount the agent's directory: %w", err)
	}
	errs := []error{
		n.install(agent, plan.AgentBinary),
		n.install(supervisor, plan.ExecBinary),
		n.link(plan.AgentBinary, "/usr/lib/systemd/system-generators/"+generator.Name),
		n.link("../slipway-agent.service", "/usr/lib/systemd/system/multi-user.target.wants/slipway-agent.service"),
	}
	for name, content := range layer {
		errs = append(errs, n.Write(name, content, 0o644))
	}
	return errors.Join(errs...)
}

func (n *Node) root() string { return filepath.Join(n.dir, "root") }

// Path is where the test sees a path of the node.
func (n *Node) Path(name string) string { return filepath.Join(n.root(), name) }

// State is where the test sees the agent's directory.
func (n *Node) State() string { return filepath.Join(n.dir, "state") }

// Shared is where the test sees Harness.
func (n *Node) Shared(name string) string { return filepath.Join(n.dir, "harness", name) }

// Write makes a file of the node.
func (n *Node) Write(name, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(n.Path(name)), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(n.Path(name), []byte(content), mode), os.Chmod(n.Path(name), mode))
}

// install copies a program of the host to its place on the node.
func (n *Node) install(from, name string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return n.Write(name, string(raw), 0o755)
}

func (n *Node) link(target, name string) error {
	if err := os.MkdirAll(filepath.Dir(n.Path(name)), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, n.Path(name))
}

// Resize sets the size of the file system that the agent's directory is on, in bytes.
func (n *Node) Resize(size int64) error {
	return unix.Mount("tmpfs", n.State(), "tmpfs", unix.MS_REMOUNT, "size="+strconv.FormatInt(size, 10))
}

// Used returns how many bytes of that file system are used.
func (n *Node) Used() (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(n.State(), &stat); err != nil {
		return 0, err
	}
	return int64(stat.Blocks-stat.Bfree) * stat.Bsize, nil
}

// Boot starts the container. It shares the host's network, so that loopback leads to the test.
func (n *Node) Boot() error {
	args := []string{"systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--boot",
		"--directory=" + n.root(), "--machine=" + n.Name, "--capability=all",
		"--system-call-filter=@keyring bpf perf_event_open @mount", "--console=pipe",
		"--bind=" + n.State() + ":" + plan.Root, "--bind=" + n.Shared("") + ":" + Harness, "--kill-signal=SIGRTMIN+3"}
	script, err := n.enterCgroup()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Stdout, cmd.Stderr = (*consoleLog)(n), (*consoleLog)(n)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	n.cmd, n.done = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	return nil
}

// consoleLog keeps what the container says.
type consoleLog Node

func (c *consoleLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
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

// Do runs a command in the container and returns its output.
func (n *Node) Do(args ...string) (string, error) {
	leader := n.Leader()
	if leader == 0 {
		return "", errors.New("the container does not run")
	}
	out, err := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(leader), "--all", "--"}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// Journal returns the end of the container's journal, for a person.
func (n *Node) Journal(lines int) string {
	out, err := n.Do("journalctl", "--no-pager", "--quiet", "--lines="+strconv.Itoa(lines))
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		return out + n.log.String()
	}
	return out
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
	case <-time.After(20 * time.Second):
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
	for _, mount := range []string{n.State(), n.root()} {
		for unix.Unmount(mount, unix.MNT_DETACH) == nil {
		}
	}
	return os.RemoveAll(n.dir)
}
