package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/lock"
)

// Apt asks the machine's apt for packages: with its sources and keys, but with lists and a cache of
// its own, so that it needs neither root nor foreign architectures, and changes nothing. Several
// processes may use one directory: apt itself runs for one of them at a time.
type Apt struct {
	// Dir keeps the lists and the packages, each by its sum.
	Dir string
	// Etc has apt's sources, preferences and keys in place of /etc/apt; "" means the machine's.
	Etc string
}

func (a Apt) state(arch string) string { return filepath.Join(a.Dir, "apt-"+arch) }

// updated is there once the lists were fetched whole.
func (a Apt) updated(arch string) string { return filepath.Join(a.state(arch), "updated") }

// options are apt's for one architecture.
func (a Apt) options(arch string) []string {
	state := a.state(arch)
	all := []string{
		"-q", "-o", "APT::Architecture=" + arch, "-o", "APT::Architectures::=" + arch, "-o", "APT::Architectures=" + arch,
		"-o", "Dir::State=" + state, "-o", "Dir::State::status=" + filepath.Join(state, "status"),
		"-o", "Dir::Cache=" + filepath.Join(state, "cache"), "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none",
	}
	if a.Etc != "" {
		all = append(all, "-o", "Dir::Etc="+a.Etc)
	}
	return all
}

func (a Apt) run(ctx context.Context, dir, arch, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append(a.options(arch), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is missing: files of Debian packages can only be fetched on a machine with apt", program)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(unmet(out.String())+problem.String()))
	}
	return out.String(), nil
}

// unmet is what apt prints, not among its errors, about packages that need what is not there.
func unmet(out string) string {
	if i := strings.Index(out, "The following packages have unmet dependencies"); i >= 0 {
		return out[i:]
	}
	return ""
}

// alone makes apt's directories and returns a function that lets others use them again.
func (a Apt) alone(ctx context.Context, arch string) (func(), error) {
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.state(arch), filepath.FromSlash(dir)), 0o755); err != nil {
			return nil, fmt.Errorf("make apt's directories: %w", err)
		}
	}
	return buildcache.Exclusive(ctx, filepath.Join(a.Dir, "apt-"+arch+".lock"), nil)
}

// Update fetches the lists of an architecture.
func (a Apt) Update(ctx context.Context, arch string) error {
	release, err := a.alone(ctx, arch)
	if err != nil {
		return err
	}
	defer release()
	return a.update(ctx, arch)
}

func (a Apt) update(ctx context.Context, arch string) error {
	if err := os.WriteFile(filepath.Join(a.state(arch), "status"), nil, 0o644); err != nil {
		return err
	}
	if _, err := a.run(ctx, a.Dir, arch, "apt-get", "update"); err != nil {
		return err
	}
	return os.WriteFile(a.updated(arch), nil, 0o644)
}

// Resolve returns the newest version of each package that apt knows, in the order of the names;
// Update comes before it.
func (a Apt) Resolve(ctx context.Context, arch string, names []string) ([]lock.Package, error) {
	release, err := a.alone(ctx, arch)
	if err != nil {
		return nil, err
	}
	defer release()
	return a.resolve(ctx, arch, names)
}

func (a Apt) resolve(ctx context.Context, arch string, names []string) ([]lock.Package, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	out, err := a.run(ctx, a.Dir, arch, "apt-cache", append([]string{"--no-all-versions", "show"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("ask apt for packages of %s: %w", arch, err)
	}
	all, err := choose(parseIndex(out), names)
	if err != nil {
		return nil, fmt.Errorf("ask apt for packages of %s: %w", arch, err)
	}
	return all, nil
}

// Closure returns the newest versions of packages and of everything that they need, as if nothing
// were installed, sorted by name: of alternatives the one that apt would install, without what is
// only recommended. A name may be one that other packages provide. What is needed and not there is
// an error that names it. Update comes before it.
func (a Apt) Closure(ctx context.Context, arch string, names []string) ([]lock.Package, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	release, err := a.alone(ctx, arch)
	if err != nil {
		return nil, err
	}
	defer release()
	out, err := a.run(ctx, a.Dir, arch, "apt-get", append([]string{
		"-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=true", "--print-uris", "install"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("ask apt what %s need: %w", strings.Join(names, ", "), err)
	}
	chosen, err := parseURIs(out)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range chosen {
		all = append(all, p.Name)
	}
	slices.Sort(all)
	found, err := a.resolve(ctx, arch, all)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		if !slices.ContainsFunc(chosen, func(c lock.Package) bool { return c.Name == p.Name && c.Version == p.Version }) {
			return nil, fmt.Errorf("apt would install another version of %s than %s, the newest that it knows", p.Name, p.Version)
		}
	}
	return found, nil
}
