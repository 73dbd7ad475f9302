package component

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/lock"
)

// epoch is the time of everything in an image.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// writeLayers writes the tar stream of the contents once, through every form's compressor into
// blobs of that form's directory, and holds it against what was declared on the way.
func writeLayers(contents []content, forms []Form, dirs map[Form]string) (map[Form]lock.Layer, error) {
	diff := sha256.New()
	sinks := []io.Writer{diff}
	blobs := map[Form]*blob{}
	var compressors []io.WriteCloser
	for _, f := range forms {
		b, err := newBlob(dirs[f])
		if err != nil {
			return nil, err
		}
		defer b.discard()
		c, err := f.compressor(b)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		blobs[f] = b
		compressors, sinks = append(compressors, c), append(sinks, c)
	}
	check, checked := io.Pipe()
	var work errgroup.Group
	work.Go(func() error {
		err := gateTar(check, contents)
		_ = check.CloseWithError(err)
		return err
	})
	work.Go(func() error {
		err := writeTar(io.MultiWriter(append(sinks, checked)...), contents)
		_ = checked.CloseWithError(err)
		return err
	})
	if err := work.Wait(); err != nil {
		return nil, err
	}
	layers := map[Form]lock.Layer{}
	for i, f := range forms {
		if err := compressors[i].Close(); err != nil {
			return nil, fmt.Errorf("compress the layer: %w", err)
		}
		hash, size, err := blobs[f].commit()
		if err != nil {
			return nil, err
		}
		layers[f] = lock.Layer{Digest: hash.String(), DiffID: "sha256:" + hex.EncodeToString(diff.Sum(nil)), Size: size}
	}
	return layers, nil
}

// writeTar writes the contents and their parent directories: directories first, sorted, owned
// by root, at the epoch, directories 0755, files 0555 unless the content says otherwise.
func writeTar(w io.Writer, contents []content) error {
	tw := tar.NewWriter(w)
	for _, dir := range parents(contents) {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: epoch(), Format: tar.FormatUSTAR}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
	}
	for _, c := range contents {
		if c.Directory {
			continue
		}
		if err := addContent(tw, c); err != nil {
			return fmt.Errorf("pack %s: %w", c.Path, err)
		}
	}
	return tw.Close()
}

func addContent(tw *tar.Writer, c content) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: c.Path, Mode: c.mode(), Size: c.Size, ModTime: epoch(), Format: tar.FormatUSTAR}
	if c.Target != "" {
		h.Typeflag, h.Linkname, h.Mode, h.Size = tar.TypeSymlink, c.Target, 0o777, 0
		return tw.WriteHeader(h)
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	to := io.MultiWriter(tw, sum)
	var err error
	if c.text != nil {
		_, err = to.Write(c.text)
	} else {
		err = copyInto(to, c.file)
	}
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.SHA256 {
		return fmt.Errorf("its bytes changed while it was packed: expected sha256 %s, found %s", c.SHA256, got)
	}
	return nil
}

func copyInto(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = buildcache.Copy(w, f)
	return err
}

// gateTar reads a layer back and refuses everything that was not declared: another path, type,
// owner or time, a set-uid or set-gid bit, and what others may write.
func gateTar(r io.Reader, contents []content) error {
	declared := map[string]content{}
	for _, d := range parents(contents) {
		declared[d+"/"] = content{Path: d, Directory: true}
	}
	for _, c := range contents {
		if !c.Directory {
			declared[c.Path] = c
		}
	}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the layer back: %w", err)
		}
		c, found := declared[h.Name]
		if !found {
			return fmt.Errorf("the layer has %s, which is not declared", h.Name)
		}
		delete(declared, h.Name)
		if err := gateHeader(h, c); err != nil {
			return fmt.Errorf("the layer's %s: %w", h.Name, err)
		}
	}
	for name := range declared {
		return fmt.Errorf("the layer has no %s, which is declared", name)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

func gateHeader(h *tar.Header, c content) error {
	want := byte(tar.TypeReg)
	switch {
	case c.Directory:
		want = tar.TypeDir
	case c.Target != "":
		want = tar.TypeSymlink
	}
	switch {
	case h.Typeflag != want || h.Linkname != c.Target:
		return fmt.Errorf("type %q with target %q, want %q with %q", h.Typeflag, h.Linkname, want, c.Target)
	case want == tar.TypeReg && h.Size != c.Size:
		return fmt.Errorf("%d bytes, want %d", h.Size, c.Size)
	case h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "":
		return errors.New("not owned by root")
	case h.Mode&^0o777 != 0:
		return fmt.Errorf("mode %o has a set-uid, set-gid or sticky bit", h.Mode)
	case want != tar.TypeSymlink && h.Mode&0o022 != 0:
		return fmt.Errorf("mode %o lets others write", h.Mode)
	case !h.ModTime.Equal(epoch()) || len(h.PAXRecords) > 0:
		return errors.New("it has a time or extended attributes")
	}
	return nil
}
