package basetree

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// debootstrap is the installer. It runs in mount and process namespaces of its own, so that
// nothing of it outlives this process: no mount in the tree, no dpkg that goes on writing.
func debootstrap(ctx context.Context, opts Options, r recipe, dir string) error {
	tool, err := exec.LookPath("debootstrap")
	if err != nil {
		return fmt.Errorf("install the package debootstrap: %w", err)
	}
	mirror := opts.Mirror
	if mirror == "" {
		mirror = hostMirror(ctx, r.Suite)
	}
	packages := filepath.Join(opts.Cache, "basetree", "packages-"+r.Suite)
	if err := os.MkdirAll(packages, 0o755); err != nil {
		return err
	}
	// What an interrupted build has downloaded is not downloaded again.
	args := []string{"--variant=minbase", "--cache-dir=" + packages, "--include=" + strings.Join(r.Packages, ","), r.Suite, dir}
	if mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	runtime.LockOSThread() // the death signal follows the thread that started the process
	defer runtime.UnlockOSThread()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start debootstrap: %w", err)
	}
	last := follow(out, opts.Progress)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("debootstrap %s: %w: %s", strings.Join(args[3:], " "), errors.Join(err, ctx.Err()), strings.Join(last, "; "))
	}
	return nil
}

// follow reports debootstrap's lines as steps and returns the last ones for an error message.
func follow(r io.Reader, report func(Progress)) []string {
	const keep = 5
	var last []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if last = append(last, line); len(last) > keep {
			last = last[1:]
		}
		if p, ok := progress(line); ok {
			report(p)
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner must not stop debootstrap
	return last
}

// progress understands lines such as "I: Retrieving systemd 252.39-1" and "I: Unpacking dbus...".
func progress(line string) (Progress, bool) {
	words := strings.Fields(strings.TrimPrefix(line, "I: "))
	if len(words) < 2 || !strings.HasPrefix(line, "I: ") {
		return Progress{}, false
	}
	steps := map[string]string{
		"Retrieving": "retrieve", "Validating": "validate", "Extracting": "extract",
		"Unpacking": "unpack", "Configuring": "configure",
	}
	step, ok := steps[words[0]]
	return Progress{Step: step, Item: strings.TrimSuffix(words[1], "...")}, ok
}

// hostMirror returns the archive that apt of this machine uses for the suite; "" when it knows
// none, which leaves the choice to debootstrap.
func hostMirror(ctx context.Context, suite string) string {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE) $(COMPONENT)",
		"Created-By: Packages", "RELEASE: "+suite).Output()
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(out) {
		if words := strings.Fields(string(line)); len(words) == 2 && words[1] == "main" && strings.Contains(words[0], "debian") {
			return words[0]
		}
	}
	return ""
}
