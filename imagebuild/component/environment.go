package component

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Platforms returns the platforms that images are built for, sorted.
func Platforms() []string { return []string{"linux/amd64", "linux/arm64"} }

// HostPlatform is the platform of the nodes of a local cluster: this machine's.
func HostPlatform() string { return "linux/" + runtime.GOARCH }

// architectureSettings are the variables that choose the instructions of an architecture: the
// ones that every such machine has.
func architectureSettings() map[string]string {
	return map[string]string{"linux/amd64": "GOAMD64=v1", "linux/arm64": "GOARM64=v8.0"}
}

// buildSettings are the variables that decide the bytes of a build for a platform, all of them
// set explicitly.
func buildSettings(platform string) []string {
	return []string{"CGO_ENABLED=0", architectureSettings()[platform], "GOEXPERIMENT=", "GOFIPS140=off"}
}

// lockSettings are the settings for all platforms, which stand in the lock in front of the flags.
func lockSettings() []string {
	settings := []string{"CGO_ENABLED=0"}
	for _, p := range Platforms() {
		settings = append(settings, architectureSettings()[p])
	}
	return append(settings, "GOEXPERIMENT=", "GOFIPS140=off")
}

// fetchVariables are the go command's settings for where modules and caches are; they decide
// how fast a build is and whether it can fetch, never its bytes (go.sum and the checksum
// database see to that).
func fetchVariables() []string {
	return []string{
		"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH",
		"GOMODCACHE", "GOCACHE", "GOPATH",
	}
}

// processVariables are what the go command needs of its surroundings.
func processVariables() []string {
	return []string{
		"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	}
}

// environment returns the whole environment of a build. Settings from the user's go env file
// are read here, for fetching only, and then that file is switched off, so that a GOFLAGS or
// GOEXPERIMENT in it cannot change a digest.
func environment(ctx context.Context, goCommand, platform string) ([]string, error) {
	out, err := exec.CommandContext(ctx, goCommand, append([]string{"env", "-json"}, fetchVariables()...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w; install Go 1.21 or later", goCommand, commandError(err))
	}
	var fetch map[string]string
	if err := json.Unmarshal(out, &fetch); err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", goCommand, err)
	}
	goos, arch, _ := strings.Cut(platform, "/")
	env := slices.Concat(buildSettings(platform), []string{
		"GOTOOLCHAIN=" + Toolchain, "GOOS=" + goos, "GOARCH=" + arch, "GOFLAGS=", "GOENV=off", "GOWORK=off", "GO111MODULE=on", "LC_ALL=C",
	})
	for _, name := range fetchVariables() {
		if v := fetch[name]; v != "" {
			env = append(env, name+"="+v)
		}
	}
	for _, name := range processVariables() {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env, nil
}

// commandError adds what a command wrote before it failed.
func commandError(err error) error {
	if exit, ok := err.(*exec.ExitError); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
