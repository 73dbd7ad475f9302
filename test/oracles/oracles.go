package oracles

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway.build/slipway/imagebuild/buildcache"
)

// tags are the build tags of containers/image that keep C libraries out.
const tags = "containers_image_openpgp,containers_image_storage_stub,containers_image_docker_daemon_stub"

// Program returns the path of the program in the folder of that name beside this package. It is
// compiled if the cache does not have it; that takes up to a minute and fetches its modules.
func Program(t testing.TB, name string) string {
	t.Helper()
	source := filepath.Join(root(t), "test", "oracles", name)
	key, err := sum(t, source)
	if err != nil {
		t.Fatalf("oracle %s: %v", name, err)
	}
	dir := filepath.Join(buildcache.Dir(), "oracles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("oracle %s: %v", name, err)
	}
	file := filepath.Join(dir, name+"-"+key)
	release, err := hold(filepath.Join(dir, "."+name+".lock"))
	if err != nil {
		t.Fatalf("oracle %s: %v", name, err)
	}
	defer release()
	if _, err := os.Stat(file); err == nil {
		return file
	}
	old, err := filepath.Glob(filepath.Join(dir, name+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range old {
		_ = os.Remove(f)
	}
	temp := file + ".new"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags="+tags, "-o", temp, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("oracle %s: %v\n%s", name, err, out)
	}
	if err := os.Rename(temp, file); err != nil {
		t.Fatalf("oracle %s: %v", name, err)
	}
	return file
}

// Ask runs a program and returns what it says.
func Ask(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Policy asks the policy engine that is under podman, rpm-ostree and bootc whether an image may be
// pulled on a node whose file system is root: with root's own /etc/containers. It returns "allowed",
// or "refused:" with the engine's reason, and the digest of the manifest that it has pulled. The
// engine runs in root as its own root folder, which takes a privileged user.
func Policy(t testing.TB, root, image string) (verdict, manifest string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changes its root folder; needs root")
	}
	program, err := os.ReadFile(Program(t, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Join(root, "oracle"), 0o755),
		os.WriteFile(filepath.Join(root, "oracle", "policy"), program, 0o755),
		os.RemoveAll(filepath.Join(root, "oracle", "pulled")),
	); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/oracle/policy", "-to", "/oracle/pulled", image)
	cmd.Dir, cmd.Env = "/", []string{"HOME=/oracle", "TMPDIR=/oracle"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("policy: %v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(root, "oracle", "pulled", "manifest.json")); err == nil {
		manifest = fmt.Sprintf("sha256:%x", sha256.Sum256(b))
	}
	return strings.TrimSpace(string(out)), manifest
}

// ModuleDir returns the folder of a module that an oracle requires, for what lies beside its code.
func ModuleDir(t testing.TB, name, module string) string {
	t.Helper()
	source := filepath.Join(root(t), "test", "oracles", name)
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = source, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("oracle %s: go %v: %v", name, args, err)
		}
		if args[0] == "list" {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}

// root returns the folder of the main module.
func root(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// sum is over everything in an oracle's folder and the toolchain.
func sum(t testing.TB, dir string) (string, error) {
	version, err := exec.CommandContext(t.Context(), "go", "version").Output()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(version)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", e.Name(), len(b))
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// hold takes a lock on a file, which is made if it is not there.
func hold(file string) (release func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
