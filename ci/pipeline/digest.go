package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// treeDigest returns the digest and the size in bytes of a file or directory: names, contents,
// targets of links and whether a file can be executed count; owners, other modes and times do not.
func treeDigest(ctx context.Context, root string, skip func(string, fs.DirEntry) bool) (string, int64, error) {
	h, size := sha256.New(), int64(0)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if skip != nil && rel != "." && skip(filepath.ToSlash(rel), d) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		n, err := addEntry(h, path, filepath.ToSlash(rel), d)
		size += n
		return err
	})
	if err != nil {
		return "", 0, fmt.Errorf("digest of %s: %w", root, err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), size, nil
}

// addEntry writes one line about an entry of a tree.
func addEntry(h io.Writer, path, rel string, d fs.DirEntry) (int64, error) {
	switch {
	case d.IsDir():
		_, err := fmt.Fprintf(h, "directory %q\n", rel)
		return 0, err
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return 0, err
		}
		_, err = fmt.Fprintf(h, "link %q %q\n", rel, target)
		return 0, err
	case d.Type().IsRegular():
		return addFile(h, path, rel)
	default:
		return 0, fmt.Errorf("%s is neither a file, nor a directory, nor a link", rel)
	}
}

func addFile(h io.Writer, path, rel string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	content := sha256.New()
	n, err := io.Copy(content, f)
	if err != nil {
		return 0, err
	}
	kind := "file"
	if info.Mode()&0o111 != 0 {
		kind = "program"
	}
	_, err = fmt.Fprintf(h, "%s %q %s\n", kind, rel, hex.EncodeToString(content.Sum(nil)))
	return n, err
}

// WithoutTests leaves Go tests and their data out of Sources, and what begins with a dot.
func WithoutTests(path string, d fs.DirEntry) bool {
	name := d.Name()
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.go") || d.IsDir() && name == "testdata"
}
