package component

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// Platform is the only platform that is built so far.
const Platform = "linux/amd64"

// buildSettings are the variables that decide the bytes of a build, all of them set
// explicitly. They stand in the lock in front of the flags.
func buildSettings() []string {
	return []string{"CGO_ENABLED=0", "GOAMD64=v1", "GOEXPERIMENT=", "GOFIPS140=off"}
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
func environment(ctx context.Context, goCommand string) ([]string, error) {
	out, err := exec.CommandContext(ctx, goCommand, append([]string{"env", "-json"}, fetchVariables()...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w; install Go 1.21 or later", goCommand, commandError(err))
	}
	var fetch map[string]string
	if err := json.Unmarshal(out, &fetch); err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", goCommand, err)
	}
	env := slices.Concat(buildSettings(), []string{
		"GOTOOLCHAIN=" + Toolchain, "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "GOENV=off", "GOWORK=off", "GO111MODULE=on", "LC_ALL=C",
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
