//go:build vm

package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kernel is Debian's kernel for clouds, unpacked: its NVMe and ext4 drivers are built in, so that
// it needs no initial RAM disk.
type kernel struct {
	image   string // file
	tree    string // directory with lib/modules
	version string
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(stderr.String()))
	}
	return stdout.String(), nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// kernelPackage has apt fetch the package that linux-image-cloud-amd64 stands for, once.
func kernelPackage(t *testing.T) string {
	t.Helper()
	out, err := run(t.Context(), "", "apt-cache", "depends", "linux-image-cloud-amd64")
	must(t, err)
	name := ""
	for line := range strings.Lines(out) {
		if after, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			name = "linux-image-" + after
		}
	}
	if name == "" {
		t.Fatalf("apt knows no kernel for clouds: %s", out)
	}
	return fetch(t, name)
}

func newKernel(t *testing.T) kernel {
	t.Helper()
	k := kernel{tree: t.TempDir()}
	_, err := run(t.Context(), "", "dpkg-deb", "-x", kernelPackage(t), k.tree)
	must(t, err)
	found, err := filepath.Glob(filepath.Join(k.tree, "boot", "vmlinuz-*"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("the package has the kernels %q", found)
	}
	k.image = found[0]
	k.version = strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-")
	_, err = run(t.Context(), "", "depmod", "-b", k.tree, k.version)
	must(t, err)
	return k
}
