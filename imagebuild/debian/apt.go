package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Apt asks the machine's apt for packages: with its sources and keys, but with lists and a cache of
// its own, so that it needs neither root nor foreign architectures, and changes nothing.
type Apt struct {
	// Dir keeps the lists and the packages, each by its sum.
	Dir string
}

// options are apt's for one architecture.
func (a Apt) options(arch string) []string {
	state := filepath.Join(a.Dir, "apt-"+arch)
	return []string{
		"-q", "-o", "APT::Architecture=" + arch, "-o", "APT::Architectures::=" + arch, "-o", "APT::Architectures=" + arch,
		"-o", "Dir::State=" + state, "-o", "Dir::State::status=" + filepath.Join(state, "status"),
		"-o", "Dir::Cache=" + filepath.Join(state, "cache"), "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none",
	}
}

func (a Apt) run(ctx context.Context, dir, arch, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, append(a.options(arch), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is missing: files of Debian packages can only be fetched on a machine with apt", program)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out.Bytes(), nil
}

// Update fetches the lists of an architecture.
func (a Apt) Update(ctx context.Context, arch string) error {
	state := filepath.Join(a.Dir, "apt-"+arch)
	for _, dir := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(state, "cache", "archives", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make apt's directories: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(state, "status"), nil, 0o644); err != nil {
		return err
	}
	_, err := a.run(ctx, a.Dir, arch, "apt-get", "update")
	return err
}

// Resolve returns the newest version of each package that apt knows; Update comes before it.
func (a Apt) Resolve(ctx context.Context, arch string, names []string) ([]lock.Package, error) {
	out, err := a.run(ctx, a.Dir, arch, "apt-cache", append([]string{"--no-all-versions", "show"}, names...)...)
	if err != nil {
		return nil, err
	}
	found := map[string]lock.Package{}
	for _, stanza := range strings.Split(string(out), "\n\n") {
		p := parseStanza(stanza)
		if _, have := found[p.Name]; p.Name != "" && !have {
			found[p.Name] = p
		}
	}
	var all []lock.Package
	for _, n := range names {
		p, have := found[n]
		if !have || p.SHA256 == "" || p.Path == "" {
			return nil, fmt.Errorf("apt knows no package %s for %s", n, arch)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseStanza reads the fields that matter of a paragraph of apt's index.
func parseStanza(text string) lock.Package {
	var p lock.Package
	for line := range strings.Lines(text) {
		field, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		switch field {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Filename":
			p.Path = strings.TrimPrefix(value, "./")
		case "SHA256":
			p.SHA256 = value
		}
	}
	return p
}

// Fetch returns the file of a package in the cache, after fetching it if it is not there. Its sum
// is checked at every call.
func (a Apt) Fetch(ctx context.Context, arch string, p lock.Package) (string, error) {
	name := filepath.Join(a.Dir, "packages", p.SHA256+".deb")
	err := hasSum(name, p.SHA256)
	if err == nil {
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("package %s %s: %w; remove it", p.Name, p.Version, err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", fmt.Errorf("make the cache of packages: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(name), ".fetch-")
	if err != nil {
		return "", fmt.Errorf("fetch package %s: %w", p.Name, err)
	}
	defer os.RemoveAll(work)
	if _, err := os.Stat(filepath.Join(a.Dir, "apt-"+arch, "status")); err != nil {
		if err := a.Update(ctx, arch); err != nil {
			return "", err
		}
	}
	if _, err := a.run(ctx, work, arch, "apt-get", "download", p.Name+"="+p.Version); err != nil {
		return "", fmt.Errorf("fetch package %s %s for %s: %w; if the archive has it no longer, run slipway images debian and build again", p.Name, p.Version, arch, err)
	}
	files, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("fetch package %s: apt left %d files", p.Name, len(files))
	}
	if err := hasSum(files[0], p.SHA256); err != nil {
		return "", fmt.Errorf("package %s %s: %w; it was not taken", p.Name, p.Version, err)
	}
	return name, os.Rename(files[0], name)
}
