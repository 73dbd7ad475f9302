package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// buildah works on a storage of its own, with the vfs driver: the overlay driver, its quicker one, cannot mount an image
// of 401 layers ("max depth exceeded", buildah 1.28).
type buildah struct{ dir string }

func (b buildah) run(ctx context.Context, args ...string) (string, error) {
	all := append([]string{"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run"), "--storage-driver", "vfs"}, args...)
	cmd := exec.CommandContext(ctx, "buildah", all...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("buildah %s: %w: %s", args[0], err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// derive copies the tree into the base and commits that to a layout. It returns the seconds of all, and those
// after the base was in the storage. The storage is empty before.
func (b buildah) derive(ctx context.Context, base, tree, out string) (all, afterFrom float64, err error) {
	if err := b.close(); err != nil {
		return 0, 0, err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return 0, 0, err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return 0, 0, err
	}
	policy := filepath.Join(b.dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	container, err := b.run(ctx, "from", "--quiet", "--signature-policy", policy, base)
	if err != nil {
		return 0, 0, err
	}
	from := time.Now()
	if _, err := b.run(ctx, "copy", "--quiet", container, tree, "/"); err != nil {
		return 0, 0, err
	}
	_, err = b.run(ctx, "commit", "--quiet", "--signature-policy", policy, "--rm", container, "oci:"+out)
	return time.Since(start).Seconds(), time.Since(from).Seconds(), err
}

// close lets go of what buildah leaves mounted.
func (b buildah) close() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, b.dir+"/") {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", at, err)
			}
		}
	}
	return nil
}
