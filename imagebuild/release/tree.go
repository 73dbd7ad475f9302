package release

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// maxEntries bounds the files of an upstream image.
const maxEntries = 1 << 20

// tree is what the layers of an image make together: sums of files, and links.
type tree struct {
	files map[string]lock.Binary // by path without a leading slash
	links map[string]string      // target as written
}

func newTree() *tree { return &tree{map[string]lock.Binary{}, map[string]string{}} }

// add puts a layer on top.
func (t *tree) add(layer io.Reader) error {
	archive := tar.NewReader(layer)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		dir, base := path.Split(name)
		if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
			if hidden == ".wh..opq" {
				t.remove(strings.TrimSuffix(dir, "/"), false)
			} else {
				t.remove(dir+hidden, true)
			}
			continue
		}
		if len(t.files)+len(t.links) > maxEntries {
			return fmt.Errorf("more than %d files", maxEntries)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			sum := newSum()
			n, err := io.Copy(sum, archive)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			delete(t.links, name)
			t.files[name] = lock.Binary{Path: name, SHA256: sum.hex(), Size: n}
		case tar.TypeLink:
			if f, ok := t.files[strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")]; ok {
				delete(t.links, name)
				t.files[name] = lock.Binary{Path: name, SHA256: f.SHA256, Size: f.Size}
			}
		case tar.TypeSymlink:
			delete(t.files, name)
			t.links[name] = h.Linkname
		}
	}
}

// remove takes out what is beneath a path, and the path itself where it is asked for.
func (t *tree) remove(name string, itself bool) {
	gone := func(at string) bool {
		return itself && at == name || name == "" || strings.HasPrefix(at, name+"/")
	}
	for at := range t.files {
		if gone(at) {
			delete(t.files, at)
		}
	}
	for at := range t.links {
		if gone(at) {
			delete(t.links, at)
		}
	}
}

// commands returns the files that a command line names, sorted, under the paths where they really are: its first
// word by PATH, and every further word that is an absolute path of a file.
func (t *tree) commands(words, env []string) ([]lock.Binary, error) {
	if len(words) == 0 {
		return nil, errors.New("its configuration has no command")
	}
	found := map[string]lock.Binary{}
	for i, word := range words {
		candidates := []string{word}
		if i == 0 && !strings.Contains(word, "/") {
			candidates = nil
			for _, dir := range searchPath(env) {
				candidates = append(candidates, path.Join(dir, word))
			}
		}
		ok := false
		for _, c := range candidates {
			if !path.IsAbs(c) {
				continue
			}
			if f, there := t.file(c); there && f.Size > 0 {
				found[f.Path], ok = f, true
				break
			}
		}
		if i == 0 && !ok {
			return nil, fmt.Errorf("its command %q is no file in it", word)
		}
	}
	var all []lock.Binary
	for _, f := range found {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b lock.Binary) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// searchPath is PATH of an environment, or the one that container runtimes set.
func searchPath(env []string) []string {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			return strings.Split(value, ":")
		}
	}
	return []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

// file follows links, in every part of the path, to a file.
func (t *tree) file(name string) (lock.Binary, bool) {
	rest := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	at := ""
	for hops := 0; len(rest) > 0 && hops < 255; hops++ {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		target, link := t.links[next]
		if !link {
			at = next
			continue
		}
		if !path.IsAbs(target) {
			target = path.Join("/", at, target)
		}
		rest = append(strings.Split(strings.TrimPrefix(path.Clean(target), "/"), "/"), rest...)
		at = ""
	}
	f, ok := t.files[at]
	return f, ok && len(rest) == 0
}

// sum256 is a running sha256.
type sum256 struct{ hash.Hash }

func newSum() sum256            { return sum256{sha256.New()} }
func (s sum256) hex() string    { return hex.EncodeToString(s.Sum(nil)) }
func (s sum256) digest() string { return "sha256:" + s.hex() }

// counter counts what is read, and ends at a limit with an error.
type counter struct {
	from    io.Reader
	n, left int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if c.n > c.left {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)
	}
	return n, err
}
