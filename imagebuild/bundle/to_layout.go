package bundle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/referrer"
)

// ToLayout is a directory with an OCI layout that images are added to. What is there stays.
type ToLayout struct {
	Dir   string
	mu    sync.Mutex
	named []Root
}

func (t *ToLayout) blob(digest string) string {
	return filepath.Join(t.Dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// Has reports whether the blob is there with the bytes that its digest says.
func (t *ToLayout) Has(_ context.Context, _ string, o Object, _ bool) (bool, error) {
	f, err := os.Open(t.blob(o.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n == o.Size && "sha256:"+hex.EncodeToString(sum.Sum(nil)) == o.Digest, err
}

// Share is not needed: Has does not ask for the repository.
func (t *ToLayout) Share(context.Context, string, Object, string) (bool, error) { return false, nil }

// PutBlob writes a blob beside its name and renames it once its bytes were compared.
func (t *ToLayout) PutBlob(_ context.Context, _ string, o Object, open func() (io.ReadCloser, error)) error {
	if err := os.MkdirAll(filepath.Dir(t.blob(o.Digest)), 0o755); err != nil {
		return err
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := renameio.NewPendingFile(t.blob(o.Digest), renameio.WithPermissions(0o444))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// PutManifest writes a manifest as a blob.
func (t *ToLayout) PutManifest(ctx context.Context, repository string, o Object, data []byte) error {
	return t.PutBlob(ctx, repository, o, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(data))), nil })
}

// Name notes the root for index.json, which Finish writes. A referrer without a tag is put into the list of its subject's
// referrers at once.
func (t *ToLayout) Name(ctx context.Context, r *Root, data []byte) (bool, error) {
	if r.Tag == "" && r.About != "" {
		m := referrer.Manifest{MediaType: types.MediaType(r.Manifests[len(r.Manifests)-1].MediaType), Content: data}
		return false, referrer.OpenLayout(t.Dir, r.Repository).PutManifest(ctx, m, "")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.named = append(t.named, *r)
	return false, nil
}

// Finish adds what was named to index.json, in one step. Two that finish at the same time do so one after the
// other.
func (t *ToLayout) Finish(context.Context) (int, error) {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return 0, err
	}
	d, err := os.Open(t.Dir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return 0, fmt.Errorf("lock %s: %w", t.Dir, err)
	}
	index, err := t.index()
	if err != nil {
		return 0, err
	}
	named := 0
	for _, entry := range indexOf(t.named, layout.RefName).Manifests {
		if name := entryName(entry); name != "" && !slices.ContainsFunc(index.Manifests, func(old v1.Descriptor) bool { return entryName(old) == name && old.Digest == entry.Digest }) {
			named++
		}
		index.Manifests = slices.DeleteFunc(index.Manifests, func(old v1.Descriptor) bool {
			return entryName(old) == entryName(entry) && (entryName(entry) != "" || old.Digest == entry.Digest)
		})
		index.Manifests = append(index.Manifests, entry)
	}
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return cmp.Or(strings.Compare(entryName(a), entryName(b)), strings.Compare(a.Digest.Hex, b.Digest.Hex))
	})
	text, err := json.Marshal(index)
	if err != nil {
		return 0, err
	}
	if err := renameio.WriteFile(filepath.Join(t.Dir, "oci-layout"), []byte(marker), 0o644); err != nil {
		return 0, err
	}
	if err := renameio.WriteFile(filepath.Join(t.Dir, "index.json"), text, 0o644); err != nil {
		return 0, err
	}
	return named, unix.Syncfs(int(d.Fd()))
}

func entryName(d v1.Descriptor) string {
	if name := d.Annotations[layout.RefName]; name != "" {
		return name
	}
	return d.Annotations[layout.AttachedName]
}

func (t *ToLayout) index() (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	text, err := os.ReadFile(filepath.Join(t.Dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, index); err != nil {
		return nil, fault.Terminalf("%s: %w; it is no OCI layout that can be added to", filepath.Join(t.Dir, "index.json"), err)
	}
	return index, nil
}
