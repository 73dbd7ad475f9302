package component

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"
	"github.com/opencontainers/go-digest"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
)

// WriteLayout brings an OCI layout up to date: the images' blobs are there and are what
// their digests say, and the index names them. Entries of other images stay, and so does
// every blob, for running nodes may pull an older one by its digest. What is right already
// is not written again; blobs are hard links into the cache where the file system allows.
func WriteLayout(dir string, built []Built) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	if err := writeChanged(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	index, err := readIndex(dir)
	if err != nil {
		return err
	}
	for _, b := range built {
		if b.Image.Unresolved != "" {
			continue
		}
		for d, file := range b.blobs {
			if err := placeBlob(file, blobs, d); err != nil {
				return fmt.Errorf("write %s into the OCI layout %s: %w", b.Image.Name, dir, err)
			}
		}
		if err := addToIndex(index, &b.Image, blobs); err != nil {
			return fmt.Errorf("write %s into the OCI layout %s: %w", b.Image.Name, dir, err)
		}
	}
	slices.SortFunc(index.Manifests, func(x, y v1.Descriptor) int {
		return strings.Compare(x.Annotations[layout.RefName], y.Annotations[layout.RefName])
	})
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return writeChanged(filepath.Join(dir, "index.json"), append(text, '\n'))
}

func readIndex(dir string) (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read OCI layout: %w", err)
	}
	if err := json.Unmarshal(b, index); err != nil {
		return nil, fmt.Errorf("read OCI layout: %s: %w; remove the layout and write it again", filepath.Join(dir, "index.json"), err)
	}
	return index, nil
}

// addToIndex writes the image's own index, which may name manifests that are not in this layout,
// and refers to it.
func addToIndex(index *v1.IndexManifest, img *lock.Image, blobs string) error {
	text, err := Index(img)
	if err != nil {
		return err
	}
	if found := digest.FromBytes(text).String(); found != img.Index {
		return fmt.Errorf("its index is %s, and follows from its manifests to be %s", img.Index, found)
	}
	hash, err := v1.NewHash(img.Index)
	if err != nil {
		return err
	}
	if err := writeChanged(filepath.Join(blobs, hash.Hex), text); err != nil {
		return err
	}
	ref := img.Repository + ":" + img.Version
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[layout.RefName] == ref })
	index.Manifests = append(index.Manifests, v1.Descriptor{
		MediaType:   types.OCIImageIndex,
		Digest:      hash,
		Size:        int64(len(text)),
		Annotations: map[string]string{layout.RefName: ref},
	})
	return nil
}

// placeBlob makes to/<hex> the blob in the file src, unless it is there and right.
func placeBlob(src, to, digest string) error {
	dst := filepath.Join(to, strings.TrimPrefix(digest, "sha256:"))
	if sameFile(src, dst) || hasDigest(dst, digest) {
		return nil
	}
	temp := dst + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(src, temp); err != nil {
		if !errors.Is(err, syscall.EXDEV) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EMLINK) {
			return err
		}
		if err := copyFile(src, temp, 0o444); err != nil {
			return err
		}
	}
	return os.Rename(temp, dst)
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := renameio.NewPendingFile(to, renameio.WithPermissions(mode))
	if err != nil {
		return err
	}
	defer func() { _ = dst.Cleanup() }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.CloseAtomicallyReplace()
}
