package pull

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/imagebuild/lock"
)

const (
	recordFile = "image.json"
	rootDir    = "root"
	layoutDir  = "layout"
	tempPrefix = ".tmp-"
)

// Store is a directory of verified images. All its images are on one file system.
type Store struct{ Dir string }

// Record is what image.json says about a stored image.
type Record struct {
	Name     string        `json:"name"`
	Manifest string        `json:"manifest"`
	Config   string        `json:"config"`
	Layers   []lock.Layer  `json:"layers"`
	Files    []lock.Binary `json:"files"`
	Root     bool          `json:"root"`
	Layout   bool          `json:"layout"`
	// LayerFiles are the paths of the files that each layer brought; null for layers that were
	// not unpacked because the files were in the store.
	LayerFiles [][]string `json:"layerFiles,omitempty"`
}

// Path returns the directory of the image with that manifest digest.
func (s *Store) Path(manifest string) string {
	return filepath.Join(s.Dir, strings.TrimPrefix(manifest, "sha256:"))
}

// Root returns the directory with the image's files.
func (s *Store) Root(manifest string) string { return filepath.Join(s.Path(manifest), rootDir) }

// Layout returns the image's OCI layout, kept for images that pods run.
func (s *Store) Layout(manifest string) string { return filepath.Join(s.Path(manifest), layoutDir) }

// Record reads what was verified of an image; fs.ErrNotExist when it is not stored.
func (s *Store) Record(manifest string) (*Record, error) {
	raw, err := os.ReadFile(filepath.Join(s.Path(manifest), recordFile))
	if err != nil {
		return nil, fmt.Errorf("image %s in the store: %w", manifest, err)
	}
	record := new(Record)
	if err := json.Unmarshal(raw, record); err != nil {
		return nil, fmt.Errorf("image %s in the store: %w", manifest, err)
	}
	return record, nil
}

// Has reports whether the store holds what is wanted, with the files' sizes as they were
// verified. Contents are checked again at each start of a component.
func (s *Store) Has(want Want) bool {
	record, err := s.Record(want.Manifest)
	if err != nil || record.Manifest != want.Manifest || (want.Root && !record.Root) || (want.Layout && !record.Layout) {
		return false
	}
	if !want.Root {
		return true
	}
	for _, file := range want.Locked.Files {
		info, err := os.Lstat(filepath.Join(s.Root(want.Manifest), filepath.FromSlash(file.Path)))
		if err != nil || !info.Mode().IsRegular() || info.Size() != file.Size {
			return false
		}
	}
	return true
}

// Sweep removes what interrupted fetches and removals left behind. Nothing may be being fetched: whoever
// has a Puller calls its Sweep.
func (s *Store) Sweep() error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep the image store: %w", err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			if err := os.RemoveAll(filepath.Join(s.Dir, entry.Name())); err != nil {
				return fmt.Errorf("sweep the image store: %w", err)
			}
		}
	}
	return durable.Sweep(s.Dir)
}

// Collect removes every image whose manifest is not in keep, each as a whole. What is no image by
// its name stays.
func (s *Store) Collect(keep map[string]bool) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect images: %w", err)
	}
	for _, entry := range entries {
		if !entry.IsDir() || !isDigest(entry.Name()) || keep["sha256:"+entry.Name()] {
			continue
		}
		if err := durable.RemoveAll(filepath.Join(s.Dir, entry.Name())); err != nil {
			return fmt.Errorf("collect image %s: %w", entry.Name(), err)
		}
	}
	return nil
}

// isDigest reports whether a name is the hexadecimal form of a sha256.
func isDigest(name string) bool {
	const length = 64
	return len(name) == length && strings.Trim(name, "0123456789abcdef") == ""
}
