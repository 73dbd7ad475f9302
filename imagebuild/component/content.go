package component

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// content is one path of an image: a regular file, or a symbolic link with a Target. Parent
// directories are not listed, they follow. The JSON form takes part in the image's key.
type content struct {
	Path   string
	Mode   int64  `json:",omitempty"`
	SHA256 string `json:",omitempty"` // hex
	Size   int64  `json:",omitempty"`
	Target string `json:",omitempty"`
	// Directory is an empty directory.
	Directory bool `json:",omitempty"`

	file string // where the bytes are, unless text has them
	text []byte
}

// sortContents brings contents into their order and refuses two things at one path, and a path
// beneath a file.
func sortContents(all []content) error {
	slices.SortFunc(all, func(a, b content) int { return strings.Compare(a.Path, b.Path) })
	paths := map[string]bool{} // true for directories
	for i, c := range all {
		if i > 0 && all[i-1].Path == c.Path {
			return fmt.Errorf("the image has %s twice", c.Path)
		}
		paths[c.Path] = c.Directory
	}
	for _, c := range all {
		for d := path.Dir(c.Path); d != "."; d = path.Dir(d) {
			if directory, found := paths[d]; found && !directory {
				return fmt.Errorf("the image has %s beneath the file or link %s", c.Path, d)
			}
		}
	}
	return nil
}

// parents returns every directory above or among the contents, each before what is in it.
func parents(all []content) []string {
	var dirs []string
	for _, c := range all {
		if c.Directory {
			dirs = append(dirs, c.Path)
		}
		for d := path.Dir(c.Path); d != "."; d = path.Dir(d) {
			dirs = append(dirs, d)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// lockFiles are the regular files as the lock names them.
func lockFiles(all []content) []lock.Binary {
	var files []lock.Binary
	for _, c := range all {
		if c.Target == "" && !c.Directory {
			files = append(files, lock.Binary{Path: c.Path, SHA256: c.SHA256, Size: c.Size})
		}
	}
	return files
}

// mode is the file's permission: 0555 unless said otherwise.
func (c *content) mode() int64 {
	if c.Mode == 0 {
		return 0o555
	}
	return c.Mode
}
