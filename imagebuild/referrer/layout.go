package referrer

import (
	"bytes"
	"context"
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

	"slipway.build/slipway/imagebuild/layout"
)

// Layout is one repository in an OCI layout, whose images are named "repository:tag".
type Layout struct {
	dir        string
	repository string
}

// OpenLayout returns a repository of the layout in dir, which need not exist to be written to.
func OpenLayout(dir, repository string) *Layout { return &Layout{dir: dir, repository: repository} }

func (l *Layout) String() string { return fmt.Sprintf("%s of the layout %s", l.repository, l.dir) }

func (l *Layout) blob(digest string) string {
	return filepath.Join(l.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// Manifest implements Repository.
func (l *Layout) Manifest(ctx context.Context, reference string, limit int64) (Manifest, error) {
	digest := reference
	if !digestForm.MatchString(reference) {
		index, err := l.readIndex()
		if err != nil {
			return Manifest{}, err
		}
		d := find(index, l.repository+":"+reference)
		if d == nil {
			return Manifest{}, fmt.Errorf("tag %s: %w", reference, ErrNotFound)
		}
		digest = d.Digest.String()
	}
	b, err := l.Blob(ctx, digest, limit)
	if err != nil {
		return Manifest{}, err
	}
	var m struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("manifest %s: %w", digest, err)
	}
	if m.MediaType == "" {
		m.MediaType = types.OCIManifestSchema1
	}
	return Manifest{m.MediaType, b}, nil
}

// Blob implements Repository.
func (l *Layout) Blob(_ context.Context, digest string, limit int64) ([]byte, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	b, err := readFile(l.blob(digest), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", digest, err)
	}
	return b, checkContent(b, digest)
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("more than the %d bytes allowed", limit)
	}
	return b, err
}

// PutBlob implements Repository.
func (l *Layout) PutBlob(_ context.Context, content []byte) error {
	file := l.blob(Manifest{Content: content}.Digest())
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(file, content, 0o444, renameio.IgnoreUmask())
}

// PutManifest implements Repository.
func (l *Layout) PutManifest(ctx context.Context, m Manifest, tag string) error {
	if err := l.PutBlob(ctx, m.Content); err != nil {
		return err
	}
	return l.update(func(index *v1.IndexManifest) (string, error) {
		if tag != "" {
			l.name(index, tag, m.Descriptor())
		}
		return l.listReferrer(ctx, index, m)
	})
}

// listReferrer brings the list of referrers of the manifest's subject up to date, if it has one. It
// returns the digest of the list before.
func (l *Layout) listReferrer(ctx context.Context, index *v1.IndexManifest, m Manifest) (before string, err error) {
	entry, subject, err := listEntry(m)
	if err != nil || subject == "" {
		return "", err
	}
	list := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if d := find(index, l.repository+":"+Tag(subject)); d != nil {
		before = d.Digest.String()
		b, err := l.Blob(ctx, before, MaxList)
		if err != nil {
			return "", fmt.Errorf("list of referrers: %w", err)
		}
		if err := json.Unmarshal(b, list); err != nil {
			return "", fmt.Errorf("list of referrers %s: %w", d.Digest, err)
		}
	}
	list.Manifests = slices.DeleteFunc(list.Manifests, func(d v1.Descriptor) bool { return d.Digest == entry.Digest })
	list.Manifests = append(list.Manifests, entry)
	slices.SortFunc(list.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Digest.String(), b.Digest.String())
	})
	b, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	if len(b) > MaxList {
		return "", fmt.Errorf("the list of referrers of %s would have %d bytes, more than the %d allowed", subject, len(b), MaxList)
	}
	if err := l.PutBlob(ctx, b); err != nil {
		return "", err
	}
	l.name(index, Tag(subject), Manifest{types.OCIImageIndex, b}.Descriptor())
	return before, nil
}

// Referrers implements Repository.
func (l *Layout) Referrers(ctx context.Context, digest string) ([]v1.Descriptor, error) {
	m, err := l.Manifest(ctx, Tag(digest), MaxList)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseList(m.Content)
}

// name gives a tag of the repository to a descriptor, instead of what had it before.
func (l *Layout) name(index *v1.IndexManifest, tag string, d v1.Descriptor) {
	name := l.repository + ":" + tag
	d.Annotations = map[string]string{layout.RefName: name}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[layout.RefName] == name })
	index.Manifests = append(index.Manifests, d)
	slices.SortStableFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[layout.RefName], b.Annotations[layout.RefName])
	})
}

// update changes index.json under a lock on the layout's directory, in one step, and then removes the
// blob that change has replaced, unless another name still leads to it.
func (l *Layout) update(change func(*v1.IndexManifest) (replaced string, err error)) error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer dir.Close() // lets go of the lock, too
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the layout %s: %w", l.dir, err)
	}
	index, err := l.readIndex()
	if err != nil {
		return err
	}
	replaced, err := change(index)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := writeChanged(filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := writeChanged(filepath.Join(l.dir, "index.json"), append(text, '\n')); err != nil {
		return err
	}
	named := slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == replaced })
	if replaced == "" || named {
		return nil
	}
	if err := os.Remove(l.blob(replaced)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the list of referrers of before: %w", err)
	}
	return nil
}

func (l *Layout) readIndex() (*v1.IndexManifest, error) {
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	file := filepath.Join(l.dir, "index.json")
	b, err := readFile(file, MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := json.Unmarshal(b, index); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return index, nil
}

func find(index *v1.IndexManifest, name string) *v1.Descriptor {
	for i := range index.Manifests {
		if index.Manifests[i].Annotations[layout.RefName] == name {
			return &index.Manifests[i]
		}
	}
	return nil
}

// writeChanged replaces a file's contents in one step, if they differ.
func writeChanged(file string, contents []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, contents) {
		return nil
	}
	return renameio.WriteFile(file, contents, 0o644)
}
