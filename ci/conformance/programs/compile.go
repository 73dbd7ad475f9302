package programs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"slipway.build/slipway/imagebuild/component"
)

// settings are the variables that decide the bytes of a build.
func settings() []string {
	return []string{
		"GOTOOLCHAIN=" + component.Toolchain, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1",
		"GOEXPERIMENT=", "GOFIPS140=off", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on",
	}
}

// flags are those of the go command. The version is stamped as upstream's own build does; the
// module has no commit to name, and none is made up.
func flags() []string {
	ld := "-s -w -buildid="
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		parts := strings.SplitN(strings.TrimPrefix(Kubernetes, "v"), ".", 3)
		for _, stamp := range []string{
			"gitVersion=" + Kubernetes, "gitMajor=" + parts[0], "gitMinor=" + parts[1],
			"gitCommit=unknown", "gitTreeState=archive", "buildDate=1970-01-01T00:00:00Z",
		} {
			ld += " -X " + pkg + "." + stamp
		}
	}
	return []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=" + ld}
}

// tailBytes is how much of a failed command's output an error shows.
const tailBytes = 4000

// build runs the go command, which is in a process group of its own and ends with it.
func (p program) build(ctx context.Context, sources, to string) error {
	verb := []string{"build"}
	if p.Test {
		verb = []string{"test", "-c", "-vet=off"} // vet would take longer than the compiler
	}
	args := slices.Concat(verb, flags(), []string{"-o", to, p.Package})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = sources
	cmd.Env = append(os.Environ(), settings()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	runtime.LockOSThread() // the parent-death signal is tied to the thread
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if len(out) > tailBytes {
			out = out[len(out)-tailBytes:]
		}
		return fmt.Errorf("go %s %s: %w\n%s", verb[0], p.Package, err, out)
	}
	return nil
}

// copyFiles copies what programs read and no compiler takes in, out of the module.
func copyFiles(ctx context.Context, sources, to string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes")
	cmd.Dir = sources
	cmd.Env = append(os.Environ(), settings()...)
	dir, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find the module of the conformance tests: %w", err)
	}
	for _, name := range []string{Certificate, Key} {
		b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "test", "images", "agnhost", "porter", name))
		if err != nil {
			return fmt.Errorf("copy a file of the conformance tests: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
