//go:build heat

package heat

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed testdata
var testdata embed.FS

// machine is the container's name; a second run at the same time waits for the first.
const machine = "slipt-heat"

// makeTree returns the directory of a Debian with Keystone and Heat, and makes it first when it is
// not in the cache. What a killed run left of it is removed.
func makeTree(ctx context.Context) (string, error) {
	cache := os.Getenv("SLIPWAY_CACHE")
	if cache == "" {
		cache = "/var/cache/slipway"
	}
	top := filepath.Join(cache, "heat")
	if err := os.MkdirAll(top, 0o755); err != nil {
		return "", err
	}
	if err := claim(top); err != nil {
		return "", err
	}
	key, err := recipe()
	if err != nil {
		return "", err
	}
	tree := filepath.Join(top, key)
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	work := filepath.Join(top, "work")
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	say("no tree in %s yet: making one takes some minutes", top)
	install := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child",
		"debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", work, "http://deb.debian.org/debian")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("debootstrap: %w: %s", err, tail(string(out)))
	}
	if err := nspawn(ctx, work, nil, "/bin/sh", "/test/prepare.sh").Run(); err != nil {
		return "", fmt.Errorf("prepare the tree: %w", err)
	}
	return tree, os.Rename(work, tree)
}

// claim makes this process the only one that uses the directory, until its end.
func claim(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	// The file stays open: its lock is this process's.
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("claim %s: %w", dir, err)
	}
	held = file
	return nil
}

// held keeps the claim from being collected as garbage.
var held *os.File

// recipe is what a tree is made of, as one word.
func recipe() (string, error) {
	raw, err := testdata.ReadFile("testdata/prepare.sh")
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]), err
}

// nspawn is a command in a container of that tree: its processes end with it, nothing of it is
// registered anywhere, and it writes to our own output.
func nspawn(ctx context.Context, tree string, options []string, command ...string) *exec.Cmd {
	here, err := filepath.Abs("testdata")
	if err != nil {
		here = "testdata"
	}
	args := append([]string{
		"--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe", "--machine=" + machine,
		"--directory=" + tree, "--bind-ro=" + here + ":/test",
	}, options...)
	cmd := exec.CommandContext(ctx, "systemd-nspawn", append(args, command...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGTERM}
	return cmd
}

// enter runs this program in a container without a network whose changes are in memory and end
// with it, and returns its exit status.
func enter(ctx context.Context, tree string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	agent, err := filepath.Abs("../../bin/slipway-agent")
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(agent); err != nil {
		return 1, fmt.Errorf("%w (make build)", err)
	}
	options := []string{
		"--volatile=overlay", "--private-network", "--setenv=" + inside + "=1",
		"--bind-ro=" + self + ":/usr/local/bin/heat.test", "--bind-ro=" + agent + ":/usr/bin/slipway-agent",
	}
	command := []string{"/usr/local/bin/heat.test"}
	for _, arg := range os.Args[1:] {
		if !strings.HasPrefix(arg, "-test.testlogfile=") { // a path outside
			command = append(command, arg)
		}
	}
	err = nspawn(ctx, tree, options, command...).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("systemd-nspawn: %w", err)
	}
	return 0, nil
}

// tail is the end of a text.
func tail(text string) string {
	const most = 4000
	return text[max(0, len(text)-most):]
}
