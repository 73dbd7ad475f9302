package trust

import (
	"context"
	"fmt"
	"io"
	"slices"

	"slipway.build/slipway/imagebuild/lock"
)

// layerTask is one layer blob, which several images may share.
type layerTask struct {
	digest string
	size   int64 // of the blob as it is here
	limit  int64 // of what it may unpack to
	users  []layerUse
	raw    []rawUse
}

// layerUse is one place in the lock that names the blob.
type layerUse struct {
	form
	at     int
	result *formFiles
}

// formFiles collects the files of all layers of one form.
type formFiles struct {
	left  int  // layers that were not read yet
	whole bool // every one of them could be unpacked
	files map[string]lock.Binary
}

// note adds the layers of a form to those that are read; a missing one is a finding.
func (v *verification) note(f form, at int) {
	l := f.layers[at]
	size, ok := v.content.Size(l.Digest)
	if !ok {
		v.find(f.finding(Missing, f.layerPart(at), l.Digest))
		return
	}
	t := v.layers[l.Digest]
	if t == nil {
		t = &layerTask{digest: l.Digest, size: size}
		v.layers[l.Digest] = t
	}
	var result *formFiles
	for i := range at {
		if before := v.layers[f.layers[i].Digest]; before != nil {
			for _, u := range before.users {
				if u.manifest == f.manifest {
					result = u.result
				}
			}
		}
	}
	if result == nil {
		result = &formFiles{left: len(f.layers), whole: true, files: map[string]lock.Binary{}}
	}
	limit := int64(tarMargin)
	for _, file := range f.platform.Files {
		limit += file.Size
	}
	t.limit = max(t.limit, limit)
	t.users = append(t.users, layerUse{f, at, result})
}

// layer reads one blob and holds it against everything that names it.
func (v *verification) layer(ctx context.Context, t *layerTask) error {
	blob, err := v.content.Blob(t.digest)
	if gone(err) {
		for _, u := range t.users {
			v.find(u.finding(Missing, u.layerPart(u.at), t.digest))
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	found, err := readLayer(ctx, &reporting{blob, v.Progress}, t.limit)
	if err != nil {
		return fmt.Errorf("read layer %s: %w", t.digest, err)
	}
	var unpacked int64
	for _, f := range found.files {
		unpacked += f.Size
	}
	v.mu.Lock()
	v.report.Blobs++
	v.report.Bytes += found.size
	v.report.Files += len(found.files)
	v.report.Unpacked += unpacked
	v.mu.Unlock()
	for _, u := range t.users {
		v.use(u, found)
	}
	for _, u := range t.raw {
		v.useRaw(u, found)
	}
	return nil
}

// use compares a layer with one place in the lock.
func (v *verification) use(u layerUse, found *layerContents) {
	want, part := u.layers[u.at], u.layerPart(u.at)
	bad := func(kind Kind, expected, found string) {
		f := u.finding(kind, part, want.Digest)
		f.Expected, f.Found = expected, found
		v.find(f)
	}
	if found.digest != want.Digest {
		bad(WrongDigest, want.Digest, found.digest)
	}
	if found.size != want.Size {
		bad(WrongSize, fmt.Sprint(want.Size, " bytes"), fmt.Sprint(found.size, " bytes"))
	}
	switch {
	case found.err != nil:
		bad(Unreadable, "", found.err.Error())
	case found.diffID != want.DiffID:
		bad(WrongDiffID, want.DiffID, found.diffID)
	}
	for _, odd := range found.odd {
		bad(WrongFile, "", odd)
	}
	v.mu.Lock()
	r := u.result
	r.whole = r.whole && found.err == nil
	r.left--
	var twice []string
	for _, f := range found.files {
		if _, ok := r.files[f.Path]; ok {
			twice = append(twice, f.Path)
		}
		r.files[f.Path] = f
	}
	last := r.left == 0
	v.mu.Unlock()
	for _, path := range twice {
		bad(WrongFile, "", fmt.Sprintf("file %.200q comes twice", path))
	}
	if last && r.whole {
		v.files(u.form, r)
	}
}

// files compares what the layers of a form hold together with the lock.
func (v *verification) files(f form, r *formFiles) {
	part := func(path string) string { return f.part("file " + path) }
	for _, want := range f.platform.Files {
		got, ok := r.files[want.Path]
		delete(r.files, want.Path)
		finding := f.finding(WrongFile, part(want.Path), "")
		switch {
		case !ok:
			finding.Expected, finding.Found = "sha256 "+want.SHA256, "no such file"
		case got.SHA256 != want.SHA256:
			finding.Expected, finding.Found = "sha256 "+want.SHA256, "sha256 "+got.SHA256
		case got.Size != want.Size:
			finding.Expected, finding.Found = fmt.Sprint(want.Size, " bytes"), fmt.Sprint(got.Size, " bytes")
		default:
			continue
		}
		v.find(finding)
	}
	var more []string
	for path := range r.files {
		more = append(more, path)
	}
	slices.Sort(more)
	for _, path := range more {
		finding := f.finding(WrongFile, part(fmt.Sprintf("%.200q", path)), "")
		finding.Expected, finding.Found = "no such file", "sha256 "+r.files[path].SHA256
		v.find(finding)
	}
}

// reporting tells how far reading is.
type reporting struct {
	r    io.Reader
	tell func(int64)
}

func (r *reporting) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.tell != nil {
		r.tell(int64(n))
	}
	return n, err
}
