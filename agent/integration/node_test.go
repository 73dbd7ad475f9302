package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/basetree"
)

// machine is the name of the container; one that an earlier, killed run left is cleared first.
const machine = "slipt-agent-node"

// user is what the first component runs as.
const user = "slipt-alpha"

// node is a booted container with the agent in it.
type node struct {
	t     *testing.T
	dir   string // upper, work, root, state
	nspn  *exec.Cmd
	ended chan struct{}
	log   bytes.Buffer
}

// baseTree returns a Debian tree with systemd.
func baseTree(t *testing.T) string {
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

// newNode prepares a root: the base tree below, and above it what the OS layer brings.
func newNode(t *testing.T, agent, supervisor string, layer map[string]string) *node {
	t.Helper()
	tree := baseTree(t)
	exclusive(t)
	dir := filepath.Join(os.TempDir(), machine)
	n := &node{t: t, dir: dir}
	n.clear()
	for _, sub := range []string{"upper", "work", "root", "state"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	t.Cleanup(n.clear)
	must(t, unix.Mount("overlay", n.root(), "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", tree, filepath.Join(dir, "upper"), filepath.Join(dir, "work"))))
	n.install(agent, plan.AgentBinary, 0o755)
	n.install(supervisor, plan.ExecBinary, 0o755)
	n.link(plan.AgentBinary, "/usr/lib/systemd/system-generators/"+generator.Name)
	n.link("../slipway-agent.service", "/usr/lib/systemd/system/multi-user.target.wants/slipway-agent.service")
	for name, content := range layer {
		n.write(name, content, 0o644)
	}
	for file, line := range map[string]string{"/etc/passwd": user + ":x:991:991::/:/usr/sbin/nologin\n", "/etc/group": user + ":x:991:\n"} {
		raw, err := os.ReadFile(n.path(file))
		must(t, err)
		n.write(file, string(raw)+line, 0o644)
	}
	return n
}

// exclusive waits until no other test of this machine has the node's name, and has it until the
// test ends, however that happens.
func exclusive(t *testing.T) {
	t.Helper()
	lock, err := os.OpenFile("/run/lock/"+machine+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	t.Cleanup(func() { must(t, lock.Close()) })
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		must(t, err)
		return
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) root() string             { return filepath.Join(n.dir, "root") }
func (n *node) path(name string) string  { return filepath.Join(n.root(), name) }
func (n *node) state(name string) string { return filepath.Join(n.dir, "state", name) }

func (n *node) write(name, content string, mode os.FileMode) {
	n.t.Helper()
	must(n.t, os.MkdirAll(filepath.Dir(n.path(name)), 0o755))
	must(n.t, os.WriteFile(n.path(name), []byte(content), mode))
	must(n.t, os.Chmod(n.path(name), mode))
}

func (n *node) install(from, name string, mode os.FileMode) {
	n.t.Helper()
	raw, err := os.ReadFile(from)
	must(n.t, err)
	n.write(name, string(raw), mode)
}

func (n *node) link(target, name string) {
	n.t.Helper()
	must(n.t, os.MkdirAll(filepath.Dir(n.path(name)), 0o755))
	must(n.t, os.Symlink(target, n.path(name)))
}

// boot starts the container. It shares the host's network, so that loopback leads to the test.
func (n *node) boot() {
	n.t.Helper()
	n.nspn = exec.Command("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--boot",
		"--directory="+n.root(), "--machine="+machine, "--capability=all",
		"--system-call-filter=@keyring bpf perf_event_open @mount", "--console=pipe",
		"--bind="+filepath.Join(n.dir, "state")+":"+plan.Root, "--kill-signal=SIGRTMIN+3")
	n.nspn.Stdout, n.nspn.Stderr = &n.log, &n.log
	n.nspn.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	n.enterCgroup()
	must(n.t, n.nspn.Start())
	ended := make(chan struct{})
	n.ended = ended
	go func(cmd *exec.Cmd) {
		defer close(ended)
		_ = cmd.Wait()
	}(n.nspn)
}

// enterCgroup gives the container a cgroup of its own in every hierarchy: two systemds in one
// would disturb each other. The shell puts itself there and becomes nspawn.
func (n *node) enterCgroup() {
	var script strings.Builder
	for _, dir := range cgroups() {
		must(n.t, os.MkdirAll(dir, 0o755))
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if raw, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name)); err == nil {
				must(n.t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
			}
		}
		fmt.Fprintf(&script, "echo $$ > %s/cgroup.procs\n", dir)
	}
	script.WriteString(`exec "$@"`)
	n.nspn.Args = append([]string{"sh", "-ec", script.String(), "sh"}, n.nspn.Args...)
	n.nspn.Path = "/bin/sh"
}

// cgroups returns the container's directory in each hierarchy: the one of v2 alone, or those of v1
// with the empty v2 one beside them, in which nspawn and systemd keep their names too.
func cgroups() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", machine)}
	}
	var out []string
	mounts, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	for _, file := range mounts {
		out = append(out, filepath.Join(filepath.Dir(file), machine))
	}
	return out
}

// leader returns the host's pid of the container's systemd, 0 when there is none yet.
func (n *node) leader() int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", n.nspn.Process.Pid, n.nspn.Process.Pid))
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

// try runs a command in the container.
func (n *node) try(args ...string) (string, error) {
	leader := n.leader()
	if leader == 0 {
		return "", errors.New("the container does not run")
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(leader), "--all", "--"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do runs a command in the container that has to succeed.
func (n *node) do(args ...string) string {
	n.t.Helper()
	out, err := n.try(args...)
	if err != nil {
		n.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// show returns a property of a unit.
func (n *node) show(unit, property string) string {
	n.t.Helper()
	return n.do("systemctl", "show", "--value", "--property="+property, unit)
}

// eventually waits until a condition on the node holds.
func (n *node) eventually(what string, holds func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("not within 90 s: %s\n%s", what, n.journal())
		}
	}
}

func (n *node) journal() string {
	out, _ := n.try("journalctl", "--no-pager", "--quiet", "--lines=60")
	return out
}

// powerOff ends the container at once, as a power loss would for its processes.
func (n *node) powerOff() {
	if n.nspn == nil {
		return
	}
	if leader := n.leader(); leader != 0 {
		_ = syscall.Kill(leader, syscall.SIGKILL)
	}
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		_ = n.nspn.Process.Kill()
		<-n.ended
	}
	n.nspn = nil
}

// clear removes everything of this or an earlier run.
func (n *node) clear() {
	n.powerOff()
	for _, dir := range cgroups() {
		for range 100 {
			removeCgroups(dir)
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, dir := range []string{n.root(), n.state("")} {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
	}
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Errorf("clean up: %v", err)
	}
}

// removeCgroups removes a tree of cgroups, the deepest first, and ends what is still in them.
func removeCgroups(dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "cgroup.procs" {
			raw, _ := os.ReadFile(path)
			for _, pid := range strings.Fields(string(raw)) {
				if number, err := strconv.Atoi(pid); err == nil {
					_ = syscall.Kill(number, syscall.SIGKILL)
				}
			}
		}
		return nil
	})
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}
