package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/ignition"
)

// program is one build of Ignition.
type program struct {
	path, version string
	spec          string // the newest version of the specification that it reads
}

func programs(t *testing.T) []program {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Ignition needs root")
	}
	if _, err := os.Stat(ignition.DebianBinary); err != nil {
		t.Skip("the package ignition is not installed; make deps installs it")
	}
	path, err := newest()
	if err != nil {
		t.Fatal(err)
	}
	return []program{{ignition.DebianBinary, "2.14.0", "3.3.0"}, {path, "2.26.0", "3.6.0"}}
}

// source is the module that pins Ignition.
const source = "../testdata/source"

// newest builds Ignition 2.26 once for all tests, and once for the same sources and toolchain on
// this machine: it takes minutes. It needs cgo and blkid's headers.
var newest = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	h := sha256.New()
	toolchain, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOARCH", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-X github.com/coreos/ignition/v2/internal/version.Raw=2.26.0"}
	fmt.Fprintf(h, "%s%q\n", toolchain, args)
	for _, name := range []string{"go.mod", "go.sum", "source.go"} {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
	}
	dir := filepath.Join(buildcache.Dir(), "ignition", hex.EncodeToString(h.Sum(nil))[:32])
	path := filepath.Join(dir, "ignition")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", path+".tmp", "github.com/coreos/ignition/v2/internal")...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ignition (make test-deps installs libblkid-dev): %w: %s", err, out)
	}
	return path, os.Rename(path+".tmp", path)
})

// sysroot makes the least that Ignition needs to find.
func sysroot(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for path, text := range map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/group": "root:x:0:\n",
		"etc/selinux/config": "SELINUX=disabled\nSELINUXTYPE=targeted\n", "etc/selinux/targeted/contexts/files/file_contexts": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
