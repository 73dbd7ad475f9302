package testimages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// debs is the directory that keeps packages by their sum.
type debs struct{ dir string }

func (d debs) file(p Package) string { return filepath.Join(d.dir, p.SHA256+".deb") }

// fetch has apt download what is missing, in exactly the versions of the lock, and keeps only
// what has the lock's sum.
func (d debs) fetch(ctx context.Context, packages []Package) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	var missing []Package
	for _, p := range packages {
		if sum, _, err := sumFile(d.file(p)); err != nil || sum != p.SHA256 {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	got, err := d.download(ctx, missing)
	if err != nil {
		return fmt.Errorf("fetch Debian packages: %w; when the archive has newer versions only, `go run ./ci/conformance/run -lock` takes those", err)
	}
	var problems []error
	for _, p := range missing {
		if !slices.ContainsFunc(got, func(g Package) bool { return g.SHA256 == p.SHA256 && g.Size == p.Size }) {
			problems = append(problems, fmt.Errorf("%s %s: the archive has other bytes than the lock's sha256 %s", p.Name, p.Version, p.SHA256))
		}
	}
	return errors.Join(problems...)
}

// download has apt fetch packages, keeps each under its sum and returns what it got.
func (d debs) download(ctx context.Context, packages []Package) ([]Package, error) {
	temp, err := os.MkdirTemp(d.dir, ".fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	args := []string{"-qq", "-o", "APT::Sandbox::User=root", "download"}
	for _, p := range packages {
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := apt(ctx, temp, args...); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil {
		return nil, err
	}
	var got []Package
	for _, f := range files {
		p, err := parseName(filepath.Base(f))
		if err != nil {
			return nil, err
		}
		if p.SHA256, p.Size, err = sumFile(f); err != nil {
			return nil, err
		}
		if err := keep(f, d.file(p)); err != nil {
			return nil, err
		}
		got = append(got, p)
	}
	slices.SortFunc(got, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return got, nil
}

// keep copies a file to its place in one step: the cache may be another file system.
func keep(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := renameio.NewPendingFile(to, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() { _ = dst.Cleanup() }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.CloseAtomicallyReplace()
}

// closure asks apt for the newest versions of packages and everything that they need, as if
// nothing were installed.
func closure(ctx context.Context, names []string) ([]Package, error) {
	temp, err := os.MkdirTemp("", "slipway-apt-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	status := filepath.Join(temp, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	args := append([]string{"-qq", "-o", "Dir::State::status=" + status, "-o", "APT::Install-Recommends=false",
		"-o", "Debug::NoLocking=true", "--print-uris", "install"}, names...)
	out, err := apt(ctx, temp, args...)
	if err != nil {
		return nil, fmt.Errorf("ask apt what %s need: %w", strings.Join(names, ", "), err)
	}
	var all []Package
	for line := range strings.Lines(out) { // 'URI' name.deb size hash
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") {
			continue
		}
		p, err := parseName(f[1])
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// parseName reads the name of a package's file, name_version_arch.deb with an escaped version.
func parseName(file string) (Package, error) {
	part := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
	if len(part) != 3 {
		return Package{}, fmt.Errorf("%q is no package's file", file)
	}
	version, err := url.PathUnescape(part[1])
	if err != nil {
		return Package{}, fmt.Errorf("%q is no package's file: %w", file, err)
	}
	return Package{Name: part[0], Version: version, Arch: part[2]}, nil
}

func apt(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("apt-get: %w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

func sumFile(file string) (string, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
