package component

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
)

// ModuleFiles are files of a recipe's module that go into the image as they are. Empty files are
// left out: nothing reads them, they only keep directories in git.
type ModuleFiles struct {
	// From is a directory of the module, To where the image has it.
	From, To string
	// Executable are patterns (path.Match, of the base name) of files to be executed: the module
	// proxy does not keep modes.
	Executable []string
	// WithoutLines removes the lines that contain the text, for what the rest of the image cannot do.
	WithoutLines string
}

// moduleFiles reads files of the module, whose whole content is held against go.sum first.
func (j *job) moduleFiles(ctx context.Context, list []ModuleFiles) ([]content, error) {
	dir, err := j.moduleDir(ctx)
	if err != nil {
		return nil, err
	}
	var all []content
	for _, m := range list {
		root := filepath.Join(dir, filepath.FromSlash(m.From))
		before := len(all)
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil || len(data) == 0 {
				return err
			}
			below, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			executable := slices.ContainsFunc(m.Executable, func(pattern string) bool {
				ok, _ := path.Match(pattern, filepath.Base(name))
				return ok
			})
			all = append(all, textContent(path.Join(m.To, filepath.ToSlash(below)), without(data, m.WithoutLines), executable))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read %s of module %s: %w", m.From, j.in.Recipe.Module, err)
		}
		if len(all) == before {
			return nil, fmt.Errorf("module %s has no files in %s", j.in.Recipe.Module, m.From)
		}
	}
	return all, nil
}

// without removes the lines that contain a text.
func without(data []byte, text string) []byte {
	if text == "" {
		return data
	}
	var out []byte
	for line := range bytes.Lines(data) {
		if !bytes.Contains(line, []byte(text)) {
			out = append(out, line...)
		}
	}
	return out
}

// moduleDir returns the recipe's module in Go's module cache, after checking its content.
func (j *job) moduleDir(ctx context.Context) (string, error) {
	env, err := environment(ctx, j.goCommand, j.in.Platform)
	if err != nil {
		return "", err
	}
	module := j.in.Recipe.Module + "@" + j.in.Recipe.moduleVersion()
	cmd := exec.CommandContext(ctx, j.goCommand, "mod", "download", "-json", module)
	cmd.Dir, cmd.Env = filepath.Join(j.sources, filepath.FromSlash(j.in.Recipe.Source)), env
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("fetch module %s: %w", module, commandError(err))
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil || found.Dir == "" {
		return "", fmt.Errorf("fetch module %s: go mod download says %q", module, strings.TrimSpace(string(out)))
	}
	sum, err := dirhash.HashDir(found.Dir, module, dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hash module %s: %w", module, err)
	}
	if sum != j.in.Module {
		return "", fmt.Errorf("module %s in %s: expected sum %s of go.sum, found %s; run go clean -modcache", module, found.Dir, j.in.Module, sum)
	}
	return found.Dir, nil
}
