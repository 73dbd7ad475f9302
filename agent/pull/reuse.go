package pull

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// reuse takes from the store what it has already, and returns the layers that must be fetched.
// A layer need not be fetched when its files are there: those of an unpacked layer with the same
// diff ID, or all files of the image, whatever layers they came in.
func (f *fetch) reuse(ctx context.Context) ([]int, error) {
	group, ctx := errgroup.WithContext(ctx)
	have := make([]bool, len(f.Locked.Layers))
	whole := !f.Layout && f.contents.covers(f.Locked.Files)
	if whole {
		if err := f.linkAll(ctx, f.Locked.Files); err == nil {
			if len(f.layers) == 1 {
				f.layers[0] = paths(f.Locked.Files)
			}
			f.there(f.Locked.Bytes())
			return nil, nil
		} else if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	for i, layer := range f.Locked.Layers {
		group.Go(func() error {
			var err error
			have[i], err = f.reuseLayer(ctx, i, layer)
			return err
		})
	}
	err := group.Wait()
	var todo []int
	for i, has := range have {
		if !has {
			todo = append(todo, i)
		}
	}
	return todo, err
}

func paths(files []lock.Binary) []string {
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.Path
	}
	return names
}

// reuseLayer takes one layer from the store, if it is there and right.
func (f *fetch) reuseLayer(ctx context.Context, i int, layer lock.Layer) (bool, error) {
	if f.Layout {
		if f.Root || !f.linkBlob(ctx, layer) {
			return false, nil
		}
		f.unseen.Store(true)
		f.there(layer.Size)
		return true, nil
	}
	names, ok := f.contents.layers[layer.DiffID]
	if !ok {
		return false, nil
	}
	files := make([]lock.Binary, 0, len(names))
	for _, name := range names {
		file, ok := f.Locked.File(name)
		if !ok {
			return false, nil
		}
		files = append(files, file)
	}
	if !f.contents.covers(files) {
		return false, nil
	}
	if err := f.linkAll(ctx, files); err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		return false, nil
	}
	f.layers[i] = names
	f.there(layer.Size)
	return true, nil
}

// there notes bytes that need not travel.
func (f *fetch) there(n int64) {
	if f.progress != nil {
		f.progress(n)
	}
}

// linkAll links all of the files, or none.
func (f *fetch) linkAll(ctx context.Context, files []lock.Binary) error {
	var claimed []string
	for _, file := range files {
		if !f.target.Claim(file.Path) {
			_ = f.target.Forget(claimed)
			return fmt.Errorf("file %s comes twice", file.Path)
		}
		claimed = append(claimed, file.Path)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, file := range files {
		group.Go(func() error {
			if err := f.slots.acquire(ctx, file.Size); err != nil {
				return err
			}
			defer f.slots.release()
			return f.linkFile(ctx, file)
		})
	}
	if err := group.Wait(); err != nil {
		if forget := f.target.Forget(claimed); forget != nil {
			return forget
		}
		return err
	}
	return nil
}

// linkFile makes a file of the image a hard link to a stored one whose contents are hashed once
// more: what is at rest is not trusted.
func (f *fetch) linkFile(ctx context.Context, file lock.Binary) error {
	dst := filepath.Join(f.dir, rootDir, filepath.FromSlash(file.Path))
	if dir := path.Dir(file.Path); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, src := range f.contents.files[file.SHA256] {
		if linkVerified(ctx, src, dst, file.SHA256, file.Size) == nil {
			f.counts.Linked.Add(file.Size)
			return nil
		}
	}
	return fmt.Errorf("no stored copy of %s is right", file.Path)
}

// linkBlob is linkFile for a kept blob.
func (f *fetch) linkBlob(ctx context.Context, layer lock.Layer) bool {
	for _, src := range f.contents.blobs[layer.Digest] {
		if linkVerified(ctx, src, f.blob(layer.Digest), layer.Digest[len("sha256:"):], layer.Size) == nil {
			f.counts.Linked.Add(layer.Size)
			return true
		}
	}
	return false
}

// linkVerified links src as dst, and leaves nothing unless its contents have that sha256. It
// hashes the link, so that nobody can swap src in between.
func linkVerified(ctx context.Context, src, dst, sum string, size int64) error {
	if err := os.Link(src, dst); err != nil {
		return err
	}
	err := verifyFile(ctx, dst, sum, size)
	if err != nil {
		_ = os.Remove(dst)
	}
	return err
}

// verifyFile hashes a regular file.
func verifyFile(ctx context.Context, path, sum string, size int64) error {
	if !sized(path, size) {
		return fault.Terminalf("%s is not a regular file of %d bytes", path, size)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	buffer := make([]byte, 128<<10)
	for ctx.Err() == nil {
		n, err := file.Read(buffer)
		hash.Write(buffer[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != sum {
		return fault.Terminalf("%s: expected sha256 %s, found %s", path, sum, found)
	}
	return context.Cause(ctx)
}
