package release

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// AptIndexes asks the indexes that apt has on this machine, which apt has verified by the archive's
// keys. It needs no root and no network; `apt-get update` brings them up to date.
type AptIndexes struct {
	// Command is apt-cache; empty means "apt-cache" in PATH.
	Command string
}

// Candidate implements Archive: the version that apt would install.
func (a AptIndexes) Candidate(ctx context.Context, name, architecture string) (lock.Package, error) {
	command := a.Command
	if command == "" {
		command = "apt-cache"
	}
	cmd := exec.CommandContext(ctx, command, "show", "--no-all-versions", "--", name+":"+architecture)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(problems.String()); text != "" {
			err = fmt.Errorf("%s", text)
		}
		return lock.Package{}, fmt.Errorf("ask apt for %s on %s: %w", name, architecture, err)
	}
	p, arch, err := parseStanza(string(out))
	if err != nil {
		return lock.Package{}, fmt.Errorf("ask apt for %s on %s: %w", name, architecture, err)
	}
	if p.Name != name || arch != architecture && arch != "all" {
		return lock.Package{}, fmt.Errorf("ask apt for %s on %s: apt answered about %s on %s", name, architecture, p.Name, arch)
	}
	return p, nil
}

// parseStanza reads the first paragraph of an index of packages.
func parseStanza(text string) (p lock.Package, architecture string, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		key, value, found := strings.Cut(line, ": ")
		if !found || strings.HasPrefix(line, " ") {
			continue
		}
		switch key {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Architecture":
			architecture = value
		case "Filename":
			p.Path = value
		case "SHA256":
			p.SHA256 = value
		}
	}
	if p.Name == "" || p.Version == "" || architecture == "" || p.Path == "" {
		return lock.Package{}, "", fmt.Errorf("the index's paragraph lacks name, version, architecture or file name; is the package in an archive?")
	}
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 {
		return lock.Package{}, "", fmt.Errorf("%q is no sha256", p.SHA256)
	}
	return p, architecture, nil
}
