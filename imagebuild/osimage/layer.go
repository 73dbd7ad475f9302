package osimage

import (
	"archive/tar"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/lock"
)

// Layer is an OS layer: the same bytes for the same contents, on every machine.
type Layer struct {
	entries    []entry
	diffID     string
	components string
	arch       string
	toolchain  string
	policy     Policy
}

// New reads the contents once and returns their layer.
func New(c Contents) (*Layer, error) {
	entries, err := c.entries()
	if err != nil {
		return nil, fmt.Errorf("OS layer: %w", err)
	}
	components, err := lock.Parse("images.yaml", c.Lock)
	if err != nil {
		return nil, fmt.Errorf("OS layer: %w", err)
	}
	l := &Layer{entries: entries, arch: c.architecture(), policy: c.Policy}
	if info, err := buildinfo.ReadFile(c.Agent); err == nil {
		l.toolchain = info.GoVersion
	}
	if l.components, err = components.Digest(); err != nil {
		return nil, fmt.Errorf("OS layer: %w", err)
	}
	sum := sha256.New()
	if _, err := l.WriteTo(sum); err != nil {
		return nil, err
	}
	l.diffID = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return l, nil
}

// DiffID returns the digest of the tar.
func (l *Layer) DiffID() string { return l.diffID }

// Architecture returns what the programs in the layer are for, as Go names it.
func (l *Layer) Architecture() string { return l.arch }

// Components returns the digest of the components' lock that is baked in.
func (l *Layer) Components() string { return l.components }

// WriteTo writes the tar.
func (l *Layer) WriteTo(w io.Writer) (int64, error) {
	count := &counter{w: w}
	tw := tar.NewWriter(count)
	for _, e := range l.entries {
		if err := e.write(tw); err != nil {
			return count.n, fmt.Errorf("OS layer: %s: %w", e.path, err)
		}
	}
	if err := tw.Close(); err != nil {
		return count.n, fmt.Errorf("OS layer: %w", err)
	}
	return count.n, nil
}

func (e entry) write(tw *tar.Writer) error {
	h := &tar.Header{Name: e.path, Mode: e.mode, ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatUSTAR}
	switch {
	case e.dir:
		h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
	case e.target != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.target
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.size
	}
	if err := tw.WriteHeader(h); err != nil || e.open == nil {
		return err
	}
	r, err := e.open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(tw, io.LimitReader(r, e.size+1))
	if err == nil && n != e.size {
		err = fmt.Errorf("it changed while it was read")
	}
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// ExtractTo unpacks the layer's tar into dir/<hex of the diff ID> and returns that directory. One that is
// there already is complete: it got its name last. Root is required, for everything
// belongs to root.
func (l *Layer) ExtractTo(dir string) (string, error) {
	to := filepath.Join(dir, strings.TrimPrefix(l.diffID, "sha256:"))
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	if err := l.extract(dir, to); err != nil {
		return "", fmt.Errorf("extract the OS layer to %s: %w", to, err)
	}
	return to, nil
}

func (l *Layer) extract(dir, to string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	half, err := os.MkdirTemp(dir, ".half-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(half)) }()
	if err := os.Chmod(half, 0o755); err != nil {
		return err
	}
	r, w := io.Pipe()
	sum := sha256.New()
	written := make(chan error, 1)
	go func() {
		_, err := l.WriteTo(io.MultiWriter(w, sum))
		w.CloseWithError(err)
		written <- err
	}()
	err = unpack(r, half)
	r.CloseWithError(err)
	if err := errors.Join(err, <-written); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != l.diffID {
		return fmt.Errorf("the contents have changed: digest %s, before %s", got, l.diffID)
	}
	if err := sync(half); err != nil {
		return err
	}
	if err := os.Rename(half, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // fs.ErrExist: somebody else was first, with the same bytes
	}
	return nil
}

// unpack writes the entries of our own tar below dir.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // to the last byte, which the digest includes
			return err
		}
		if err != nil {
			return err
		}
		if err := place(root, h, tr); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func place(root *os.Root, h *tar.Header, content io.Reader) error {
	name, mode := filepath.Clean(h.Name), fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o700); err != nil {
			return err
		}
		return root.Chmod(name, mode)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Chmod(mode), f.Close())
	}
	return fmt.Errorf("type %q is none of an OS layer", h.Typeflag)
}

func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
