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

	"slipway.build/slipway/imagebuild/lock"
)

// inputs is what decides the bytes of a recipe's programs on one platform.
type inputs struct {
	Recipe    Recipe
	Toolchain string
	Platform  string
	Settings  []string
	Flags     []string
	GoMod     string // digest
	GoSum     string // digest
	Tree      string // h1 sum of the build module's folder, where that is the module itself
	Module    string // h1 sum of the recipe's module
}

// readInputs reads the build module of a recipe and checks that both name the same version.
func readInputs(sources string, r Recipe, platform string) (inputs, error) {
	in := inputs{Recipe: r, Toolchain: Toolchain, Platform: platform, Settings: buildSettings(platform)}
	if err := r.check(); err != nil {
		return in, err
	}
	if r.Reference != "" {
		return in, nil
	}
	if !slices.Contains(Platforms(), platform) {
		return in, fmt.Errorf("no platform %q; there are %s", platform, strings.Join(Platforms(), ", "))
	}
	var err error
	if in.Flags, err = r.Flags(); err != nil {
		return in, err
	}
	dir := filepath.Join(sources, filepath.FromSlash(r.Source))
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
	if parsed.Module != nil && parsed.Module.Mod.Path == r.Module {
		in.Tree, err = dirhash.HashDir(dir, r.Module+"@"+r.Version, dirhash.Hash1)
		if err != nil {
			return in, fmt.Errorf("hash the sources of %s: %w", r.Image, err)
		}
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
	want := r.moduleVersion()
	if v := mod.Require[i].Mod.Version; v != want {
		return "", fmt.Errorf("recipe %s is for %s %s, but sources/%s/go.mod requires %s; change one of them", r.Image, r.Module, want, r.Source, v)
	}
	for line := range strings.Lines(string(sum)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == r.Module && f[1] == want {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("sources/%s/go.sum has no sum of %s %s; run go mod tidy there", r.Source, r.Module, want)
}

// source is where the programs are from, as the lock says it.
func (in inputs) source() lock.Source {
	r := &in.Recipe
	return lock.Source{
		Module: r.Module, Version: r.moduleVersion(), Sum: in.Module, Packages: r.Packages(),
		Flags: slices.Concat(lockSettings(), in.Flags), GoSum: in.GoSum,
	}
}

// programKey names the cache entry of one program. How it is packed, and what is beside it in
// an image, is no part of it.
func (in inputs) programKey(pkg string) string {
	return hashKey(struct {
		Package, Module, Sum, Tree, GoMod, GoSum, Toolchain, Platform string
		Settings, Flags                                               []string
	}{pkg, in.Recipe.Module, in.Module, in.Tree, in.GoMod, in.GoSum, in.Toolchain, in.Platform, in.Settings, in.Flags})
}

// hashKey is the hash of a value's JSON form, which holds strings and numbers only.
func hashKey(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type that cannot be written, which no caller has
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
