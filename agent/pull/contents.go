package pull

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// contents is what the store seems to hold, by what it should be. None of it is trusted: whatever
// is taken from here is hashed again first.
type contents struct {
	files  map[string][]string // paths by the file's sha256, in hex
	blobs  map[string][]string // paths by the blob's digest
	layers map[string][]string // the files of a layer, as names in an image, by its diff ID
}

// contents reads the records of all stored images; a record that cannot be read has nothing.
func (s *Store) contents() (*contents, error) {
	c := &contents{files: map[string][]string{}, blobs: map[string][]string{}, layers: map[string][]string{}}
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look into the image store: %w", err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		record, err := s.Record("sha256:" + entry.Name())
		if err == nil {
			s.add(c, "sha256:"+entry.Name(), record)
		}
	}
	return c, nil
}

func (s *Store) add(c *contents, manifest string, record *Record) {
	if record.Root {
		for _, file := range record.Files {
			path := filepath.Join(s.Root(manifest), filepath.FromSlash(file.Path))
			if sized(path, file.Size) && filepath.IsLocal(filepath.FromSlash(file.Path)) {
				c.files[file.SHA256] = append(c.files[file.SHA256], path)
			}
		}
	}
	for i, layer := range record.Layers {
		if record.Layout {
			path := filepath.Join(s.Layout(manifest), "blobs", "sha256", strings.TrimPrefix(layer.Digest, "sha256:"))
			if sized(path, layer.Size) {
				c.blobs[layer.Digest] = append(c.blobs[layer.Digest], path)
			}
		}
		if i < len(record.LayerFiles) && record.LayerFiles[i] != nil && record.Root {
			c.layers[layer.DiffID] = record.LayerFiles[i]
		}
	}
}

func sized(path string, size int64) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// covers reports whether the store seems to have every one of the files.
func (c *contents) covers(files []lock.Binary) bool {
	return !slices.ContainsFunc(files, func(f lock.Binary) bool { return len(c.files[f.SHA256]) == 0 })
}
