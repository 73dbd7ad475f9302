package component

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/sumdb/dirhash"
)

// format is the version of everything that this package itself does to the bytes: how it
// packs, what it writes into manifests. It is raised when any of that changes.
const format = 2

// inputs is everything that decides the digests of one image. Its JSON form is hashed into
// the cache key.
type inputs struct {
	Format    int
	Recipe    Recipe
	Toolchain string
	Platform  string
	Settings  []string
	Flags     []string
	GoMod     string // digest
	GoSum     string // digest
	Tree      string // h1 sum of the build module's folder
	Module    string // h1 sum of the recipe's module
}

// readInputs reads the build module of a recipe and checks that both name the same version.
func readInputs(sources string, r Recipe) (inputs, error) {
	in := inputs{Format: format, Recipe: r, Toolchain: Toolchain, Platform: Platform, Settings: buildSettings()}
	if err := r.check(); err != nil {
		return in, err
	}
	var err error
	if in.Flags, err = r.Flags(); err != nil {
		return in, err
	}
	dir := filepath.Join(sources, r.Source)
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return in, fmt.Errorf("build module of %s: %w", r.Image, err)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return in, fmt.Errorf("build module of %s: %w", r.Image, err)
	}
	in.GoMod, in.GoSum = digest.FromBytes(mod).String(), digest.FromBytes(sum).String()
	parsed, err := modfile.Parse(filepath.Join(dir, "go.mod"), mod, nil)
	if err != nil {
		return in, fmt.Errorf("build module of %s: %w", r.Image, err)
	}
	own := parsed.Module != nil && parsed.Module.Mod.Path == r.Module
	prefix := r.Source
	if own {
		prefix = r.Module + "@" + r.Version
	}
	if in.Tree, err = dirhash.HashDir(dir, prefix, dirhash.Hash1); err != nil {
		return in, fmt.Errorf("hash the sources of %s: %w", r.Image, err)
	}
	if own {
		in.Module = in.Tree
		return in, nil
	}
	in.Module, err = requiredSum(parsed, sum, r)
	return in, err
}

// requiredSum returns the h1 sum of the module that r builds from, out of go.sum.
func requiredSum(mod *modfile.File, sum []byte, r Recipe) (string, error) {
	i := slices.IndexFunc(mod.Require, func(q *modfile.Require) bool { return q.Mod.Path == r.Module })
	if i < 0 {
		return "", fmt.Errorf("sources/%s/go.mod does not require %s, which recipe %s builds", r.Source, r.Module, r.Image)
	}
	if v := mod.Require[i].Mod.Version; v != r.Version {
		return "", fmt.Errorf("recipe %s is for %s %s, but sources/%s/go.mod requires %s; change one of them", r.Image, r.Module, r.Version, r.Source, v)
	}
	for line := range strings.Lines(string(sum)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == r.Module && f[1] == r.Version {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("sources/%s/go.sum has no sum of %s %s; run go mod tidy there", r.Source, r.Module, r.Version)
}

// key names the cache entry. What only the lock says about an image is no part of it.
func (in inputs) key() (string, error) {
	in.Recipe.Kubernetes, in.Recipe.HostTools = nil, nil
	b, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
