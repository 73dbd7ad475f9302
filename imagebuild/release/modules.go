package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// GoModules asks the module proxy through the go command, with the proxies and the checksum database
// that the machine is set up for.
type GoModules struct {
	// Go is the go command; empty means "go" in PATH.
	Go string
}

// Versions implements Modules.
func (g GoModules) Versions(ctx context.Context, module string) ([]string, error) {
	var out struct {
		Versions []string
		Error    *struct{ Err string }
	}
	if err := g.run(ctx, &out, "list", "-m", "-versions", "-json", module); err != nil {
		return nil, fmt.Errorf("list the versions of %s: %w", module, err)
	}
	if out.Error != nil {
		return nil, fmt.Errorf("list the versions of %s: %s", module, out.Error.Err)
	}
	if len(out.Versions) == 0 {
		return nil, fmt.Errorf("the module proxy lists no version of %s; name one with --to", module)
	}
	return out.Versions, nil
}

// Sum implements Modules. It downloads the module into Go's cache.
func (g GoModules) Sum(ctx context.Context, module, version string) (string, error) {
	var out struct{ Version, Sum, Error string }
	err := g.run(ctx, &out, "mod", "download", "-json", module+"@"+version)
	if out.Error != "" {
		err = errors.New(complaint(out.Error))
	}
	if err != nil {
		return "", fmt.Errorf("fetch %s %s: %w", module, version, err)
	}
	if out.Version != version {
		return "", fmt.Errorf("fetch %s %s: the module proxy gave %s", module, version, out.Version)
	}
	if !strings.HasPrefix(out.Sum, "h1:") {
		return "", fmt.Errorf("fetch %s %s: the go command gave no sum", module, version)
	}
	return out.Sum, nil
}

// run runs the go command outside of any module and decodes what it says.
func (g GoModules) run(ctx context.Context, into any, args ...string) error {
	command := g.Go
	if command == "" {
		command = "go"
	}
	dir, err := os.MkdirTemp("", "slipway-modules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if len(out) > 0 {
		if err := json.Unmarshal(out, into); err != nil {
			return fmt.Errorf("the go command said what cannot be read: %w", err)
		}
	}
	if err != nil && problems.Len() > 0 {
		return errors.New(complaint(problems.String()))
	}
	return err
}

// complaint is what a command complained about in one line: the first that is not only about progress.
func complaint(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "go: downloading ") {
			return strings.TrimPrefix(line, "go: ")
		}
	}
	return strings.TrimSpace(text)
}
