package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/lock"
)

// The files of a report in its directory.
const (
	htmlFile = "report.html"
	jsonFile = "report.json"
)

// Write writes the report into a directory, which it makes, and returns the names of the files. Each
// is replaced in one step.
func (r *Report) Write(dir string) ([]string, error) {
	page, err := r.HTML()
	if err != nil {
		return nil, err
	}
	text, err := r.JSON()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	files := []string{filepath.Join(dir, htmlFile), filepath.Join(dir, jsonFile)}
	for i, content := range [][]byte{page, text} {
		if err := renameio.WriteFile(files[i], content, 0o644); err != nil {
			return nil, fmt.Errorf("write the report: %w", err)
		}
	}
	return files, nil
}

// Baseline returns the artifacts to compare with: those of against, a report as JSON or a lock, or of
// the report in dir when against is empty; none when there is no report yet.
func Baseline(dir, against string) ([]Artifact, error) {
	file := against
	if file == "" {
		file = filepath.Join(dir, jsonFile)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if !strings.HasSuffix(file, ".json") {
		l, err := lock.Load(file)
		if err != nil {
			return nil, err
		}
		return OfLock(l), nil
	}
	r, err := Read(file)
	if err != nil {
		if against == "" {
			return nil, nil // of another version of this program: there is nothing to compare with
		}
		return nil, err
	}
	return r.Artifacts(), nil
}

// OfLock lists the images of a lock, one for each platform.
func OfLock(l *lock.Lock) []Artifact {
	var all []Artifact
	for _, i := range l.Images {
		source := i.Source.Reference
		if i.Source.Module != "" {
			source = i.Source.Module + "@" + i.Source.Version
		}
		for _, p := range i.Platforms {
			all = append(all, Artifact{Kind: "image", Name: i.Name, Version: i.Version, Platform: p.Platform, Source: source,
				Sum: i.Source.Sum, Toolchain: l.Toolchain, Digest: p.Manifest, Size: p.Bytes()})
		}
	}
	return all
}
