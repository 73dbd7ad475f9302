package osimage

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Difference is a path that two layers do not have alike.
type Difference struct {
	Path  string `json:"path"`
	Image string `json:"image"` // what the image has; empty for nothing
	Here  string `json:"here"`  // what this tree makes; empty for nothing
}

// member is an entry of a layer in words that tell any two different ones apart.
type member struct {
	words string
	small []byte // contents of a file of at most maxSmall bytes
}

// Bounds of a layer that is compared, which may be anybody's.
const (
	maxMembers = 100_000
	maxSmall   = 64 << 10
)

// members reads a layer's tar.
func members(r io.Reader) (map[string]member, error) {
	all := map[string]member{}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, fmt.Errorf("after %d entries: %w", len(all), err)
		}
		if len(all) == maxMembers {
			return nil, fmt.Errorf("more than %d entries", maxMembers)
		}
		name := strings.TrimSuffix(h.Name, "/")
		m := member{words: fmt.Sprintf("%s, mode %04o, owner %d:%d", kind(h), h.Mode, h.Uid, h.Gid)}
		for _, k := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			m.words += fmt.Sprintf(", %s=%q", k, h.PAXRecords[k])
		}
		if h.ModTime.Unix() != 0 {
			m.words += ", changed " + h.ModTime.UTC().Format("2006-01-02T15:04:05Z")
		}
		if h.Typeflag == tar.TypeReg {
			sum := sha256.New()
			var head strings.Builder
			n, err := io.Copy(io.MultiWriter(sum, &limited{&head, maxSmall}), tr)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			m.words += fmt.Sprintf(", %d bytes, sha256:%s", n, hex.EncodeToString(sum.Sum(nil)))
			if n <= maxSmall {
				m.small = []byte(head.String())
			}
		}
		if before, twice := all[name]; twice {
			m.words = before.words + "; and again: " + m.words
		}
		all[name] = m
	}
}

// limited keeps the first bytes of what is written.
type limited struct {
	to   *strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.to.Write(p[:n])
	l.left -= n
	return len(p), nil
}

func kind(h *tar.Header) string {
	switch h.Typeflag {
	case tar.TypeReg:
		return "file"
	case tar.TypeDir:
		return "directory"
	case tar.TypeSymlink:
		return "link to " + h.Linkname
	case tar.TypeLink:
		return "hard link to " + h.Linkname
	}
	return fmt.Sprintf("type %q", h.Typeflag)
}

// differences compares what an image has with what is made here, sorted by path.
func differences(image, here map[string]member) []Difference {
	var all []Difference
	paths := map[string]bool{}
	for p := range image {
		paths[p] = true
	}
	for p := range here {
		paths[p] = true
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if a, b := image[p].words, here[p].words; a != b {
			all = append(all, Difference{Path: "/" + p, Image: a, Here: b})
		}
	}
	return all
}
