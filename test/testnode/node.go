package testnode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
)

// Harness is where a node sees the directory that it shares with the test.
const Harness = "/slipt"

// Config is what a node is made of.
type Config struct {
	Name     string // of the machine, by Name: what an earlier, killed run left is found by it
	Tree     string // by BaseTree
	Programs Programs
	// Arguments and Environment are what the agent is started with; without arguments as the OS
	// layer's unit does it.
	Arguments   string
	Environment []string
	// Layer are further files of the node, by path.
	Layer map[string]string
	// Memory, when not 0, keeps the node in memory, with the agent's directory on a file system of
	// its own that has so many bytes.
	Memory int64
	// Shares has the node see a directory of the test's as Harness.
	Shares bool
}

// Node is a container with the agent in it.
type Node struct {
	name   string
	dir    string // upper, work, root, state, harness
	shares bool

	cmd     *exec.Cmd
	done    chan struct{}
	console console
}

// New prepares a root: the base tree below, and above it what the OS layer brings. It is removed
// at the end of the test.
func New(t testing.TB, config Config) *Node {
	t.Helper()
	n := &Node{name: config.Name, dir: filepath.Join(place(config), config.Name), shares: config.Shares}
	if err := n.clear(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.clear(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	if err := n.prepare(config); err != nil {
		t.Fatalf("prepare the node %s: %v", n.name, err)
	}
	return n
}

// place is the directory for a node's own.
func place(config Config) string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); config.Memory > 0 && err == nil && info.IsDir() {
		return memory
	}
	return os.TempDir()
}

func (n *Node) prepare(config Config) error {
	for _, sub := range []string{"upper", "work", "root", "state", "harness"} {
		if err := os.MkdirAll(filepath.Join(n.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", n.root(), "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", config.Tree, filepath.Join(n.dir, "upper"), filepath.Join(n.dir, "work"))); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	if config.Memory > 0 {
		if err := unix.Mount("tmpfs", n.State(""), "tmpfs", 0, "mode=0755,size="+strconv.FormatInt(config.Memory, 10)); err != nil {
			return fmt.Errorf("mount the agent's directory: %w", err)
		}
	}
	arguments := config.Arguments
	if arguments == "" {
		arguments = "run"
	}
	errs := []error{
		n.install(config.Programs.Agent, plan.AgentBinary),
		n.install(config.Programs.Supervisor, plan.ExecBinary),
		n.Link(plan.AgentBinary, "/usr/lib/systemd/system-generators/"+generator.Name),
		n.Write(agentUnitFile, agentUnit(arguments, config.Environment), 0o644),
		n.Link("../"+plan.AgentUnit, filepath.Join(filepath.Dir(agentUnitFile), "multi-user.target.wants", plan.AgentUnit)),
	}
	for name, content := range config.Layer {
		errs = append(errs, n.Write(name, content, 0o644))
	}
	return errors.Join(errs...)
}

func (n *Node) root() string { return filepath.Join(n.dir, "root") }

// Path is where the test sees a path of the node.
func (n *Node) Path(name string) string { return filepath.Join(n.root(), name) }

// State is where the test sees a path of the agent's directory.
func (n *Node) State(name string) string { return filepath.Join(n.dir, "state", name) }

// Shared is where the test sees a path of Harness.
func (n *Node) Shared(name string) string { return filepath.Join(n.dir, "harness", name) }

// Write makes a file of the node, and the directories that it is in.
func (n *Node) Write(name, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(n.Path(name)), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(n.Path(name), []byte(content), mode), os.Chmod(n.Path(name), mode))
}

// Link makes a symbolic link of the node, and the directories that it is in.
func (n *Node) Link(target, name string) error {
	if err := os.MkdirAll(filepath.Dir(n.Path(name)), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, n.Path(name))
}

// AddUser makes a user and a group of the node.
func (n *Node) AddUser(name string, id int) error {
	var errs []error
	for file, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d::/:/usr/sbin/nologin\n", name, id, id),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", name, id),
	} {
		raw, err := os.ReadFile(n.Path(file))
		if err == nil {
			err = n.Write(file, string(raw)+line, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// install copies a program of the host to its place on the node.
func (n *Node) install(from, name string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return n.Write(name, string(raw), 0o755)
}

// Resize sets the size, in bytes, of the file system that the agent's directory is on in memory.
func (n *Node) Resize(size int64) error {
	return unix.Mount("tmpfs", n.State(""), "tmpfs", unix.MS_REMOUNT, "size="+strconv.FormatInt(size, 10))
}

// Used returns how many bytes of that file system are used.
func (n *Node) Used() (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(n.State(""), &stat); err != nil {
		return 0, err
	}
	return int64(stat.Blocks-stat.Bfree) * stat.Bsize, nil
}

// console keeps what the container says.
type console struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}
