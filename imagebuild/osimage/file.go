package osimage

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// File is what an operator adds to the layer.
type File struct {
	Path string // on the node, absolute: below /usr or /etc
	// One of these says what is there: a file of this machine, its contents, or the target of a link.
	Source string
	Data   []byte
	Link   string
	// Mode of a file; 0 is 0644. Nothing that changes the user who runs it, nothing that all may write.
	Mode fs.FileMode
}

func (f File) entry() (entry, error) {
	name := strings.TrimPrefix(f.Path, "/")
	switch {
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || !utf8.ValidString(f.Path):
		return entry{}, fmt.Errorf("file to add: %q is no clean absolute path", f.Path)
	case !strings.HasPrefix(name, "usr/") && !strings.HasPrefix(name, "etc/"):
		return entry{}, fmt.Errorf("file to add: %s: on the node only /usr and /etc come from the image; a file in /usr/lib/tmpfiles.d makes what is below /var", f.Path)
	case f.Mode&^fs.ModePerm != 0 || f.Mode&0o022 != 0:
		return entry{}, fmt.Errorf("file to add: %s: mode %v: no setuid, and writable for root alone", f.Path, f.Mode)
	}
	e := entry{path: name}
	switch {
	case f.Link != "" && f.Source == "" && f.Data == nil:
		return link(name, f.Link), nil
	case f.Source != "" && f.Link == "" && f.Data == nil:
		var err error
		if e, err = fromDisk(name, f.Source); err != nil {
			return entry{}, err
		}
	case f.Source == "" && f.Link == "":
		e = literal(name, f.Data)
	default:
		return entry{}, fmt.Errorf("file to add: %s: it has more than one of a source, data and a link", f.Path)
	}
	e.mode = 0o644
	if f.Mode != 0 {
		e.mode = int64(f.Mode.Perm())
	}
	return e, nil
}
