package testnode

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway.build/slipway/imagebuild/basetree"
)

// BaseTree returns a Debian tree with systemd, or skips the test and says what it lacks.
func BaseTree(t testing.TB) string {
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

// Programs are what the OS layer has in place of the agent and of the supervisor, on this host.
type Programs struct {
	Agent, Supervisor string
}

// BuildPrograms builds the agent, with flags of the go command's, and the supervisor.
func BuildPrograms(t testing.TB, flags ...string) Programs {
	t.Helper()
	return Programs{
		Agent:      Build(t, "slipway.build/slipway/cmd/slipway-agent", flags...),
		Supervisor: Build(t, "slipway.build/slipway/cmd/slipway-exec"),
	}
}

// Build builds a static program with flags of the go command's, and returns its path, which is
// good until the test ends.
func Build(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raw, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, raw)
	}
	return out
}

// FreeAddress returns an address of loopback, which nodes share with the test, that nothing
// listens on. Its port is below those that the kernel gives to connections, so that it stays free
// while a component is away.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("there is no free port")
	return ""
}
