package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// containerd is Debian's containerd with a daemon of its own for every store, and its ctr.
type containerd struct {
	dir    string
	daemon *exec.Cmd
}

func (c *containerd) name() string { return "containerd" }

func (c *containerd) does() string {
	return "fetch, sha256 of every blob, keep the blobs, unpack into overlayfs, diff IDs; files not synced"
}

func (c *containerd) pulls(scenario) bool { return true }

func (c *containerd) socket() string { return filepath.Join(c.dir, "sock") }

func (c *containerd) prepare(ctx context.Context, dir string) error {
	c.dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), c.socket())
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.daemon = exec.Command("containerd", "--config", file, "--log-level", "error")
	c.daemon.Stdout, c.daemon.Stderr = log, log
	c.daemon.SysProcAttr = dieWithParent()
	if err := c.daemon.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for {
		if err := exec.CommandContext(ctx, "ctr", "-a", c.socket(), "version").Run(); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("containerd does not answer: %s", said)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *containerd) pull(ctx context.Context, addr string, images []*image) (sample, error) {
	before := c.cpu()
	s, _, err := command(ctx, "ctr", "-a", c.socket(), "images", "pull", "--plain-http", "--snapshotter", "overlayfs", images[0].reference(addr))
	s.peak += c.status("VmHWM:")
	s.cpu += c.cpu() - before
	return s, err
}

// status reads a size in bytes from the daemon's status.
func (c *containerd) status(field string) int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.daemon.Process.Pid))
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// cpu is the daemon's processor time; the kernel counts it in hundredths of a second.
func (c *containerd) cpu() time.Duration {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.daemon.Process.Pid))
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (c *containerd) check(img *image) error {
	base := filepath.Join(c.dir, "root", "io.containerd.snapshotter.v1.overlayfs", "snapshots", "*", "fs")
	return globbed(base, img)
}

// globbed looks for every file under one of the directories that match.
func globbed(base string, img *image) error {
	for _, f := range img.Locked.Files {
		found, err := filepath.Glob(filepath.Join(base, f.Path))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no file %s under %s", f.Path, base)
		}
		if err := exists(found[0], f.Size); err != nil {
			return err
		}
	}
	return nil
}

func (c *containerd) clean() error {
	if c.daemon == nil {
		return nil
	}
	_ = c.daemon.Process.Signal(syscall.SIGTERM)
	err := c.daemon.Wait()
	c.daemon = nil
	if _, ended := err.(*exec.ExitError); ended {
		return nil
	}
	return err
}
