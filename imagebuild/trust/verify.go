package trust

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
)

// Options of Verify; the zero value proves everything that is there, on two cores.
type Options struct {
	// Platforms restricts what is proved to these; empty is all.
	Platforms []string
	// Complete demands everything that the lock names for those platforms. Otherwise an image, one of its forms, or a
	// piece of its evidence may be absent as a whole, and is listed as such.
	Complete bool
	// Parallel bounds the blobs that are read at the same time; 2 when 0.
	Parallel int
	// Also are digests that something else has proved, such as an earlier signed lock, with its name: they
	// are not unnamed.
	Also map[string]string
	// OS are the digests of node OS images by their names, as an OS lock has them that is believed.
	OS map[string]string
	// Others lists what nobody names in the report instead of finding fault with it: for a registry's own
	// layout, in which older images stay for nodes that still run them.
	Others bool
	// Progress is called from several goroutines with the bytes of blobs that were read since its
	// last call, after one call of Total.
	Total    func(bytes int64)
	Progress func(bytes int64)
}

// Report is what Verify found.
type Report struct {
	Lock   string `json:"lock"`   // digest
	Number int64  `json:"number"` // of the lock
	Key    string `json:"key"`    // id of the key that signed it
	Layout string `json:"layout"`
	Images int    `json:"images"` // image and platform pairs that are here
	// Whole are these pairs: "etcd@v3.6.16 linux/amd64". One that a finding names is not proved.
	Whole    []string `json:"whole"`
	Blobs    int      `json:"blobs"` // that were hashed
	Bytes    int64    `json:"bytes"` // of them
	Files    int      `json:"files"` // in layers, each hashed
	Unpacked int64    `json:"unpacked"`
	// Absent is what the lock names and the layout has nothing of.
	Absent []string `json:"absent,omitempty"`
	// Others is what nobody names, where that is allowed.
	Others   []string     `json:"others,omitempty"`
	Attached []Attachment `json:"attached,omitempty"`
	Findings []Finding    `json:"findings"`
}

// Proved reports whether nothing was found.
func (r *Report) Proved() bool { return len(r.Findings) == 0 }

// verification is one run of Verify.
type verification struct {
	Options
	content *layout.Layout
	lock    *Signed
	locked  map[string]string // digests that the lock names
	named   map[string]bool   // digests that somebody proved names
	mu      sync.Mutex
	report  *Report
	layers  map[string]*layerTask
}

// Verify proves an OCI layout against a signed lock: every index, manifest, configuration and layer, every
// file in the layers, and the evidence. All that is wrong is a finding of the report; an error says
// that the proof could not be made (the disk, the context).
func Verify(ctx context.Context, content *layout.Layout, signed *Signed, o Options) (*Report, error) {
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	v := &verification{Options: o, content: content, lock: signed, locked: Names(signed.Lock), named: map[string]bool{}, layers: map[string]*layerTask{},
		report: &Report{Lock: signed.Digest, Number: signed.Number, Key: signed.Key, Layout: content.Path(), Findings: []Finding{}, Whole: []string{}}}
	for d := range o.Also {
		v.named[d] = true
	}
	names, err := v.tagged()
	if err != nil {
		return nil, err
	}
	for i := range signed.Images {
		if img := &signed.Images[i]; img.Unresolved == "" {
			if err := v.image(img, names[img.Index]); err != nil {
				return nil, err
			}
		}
	}
	for name, digest := range o.OS {
		if err := v.osImage(name, digest); err != nil {
			return nil, err
		}
	}
	if err := v.attached(); err != nil {
		return nil, err
	}
	v.leftovers()
	if err := v.readLayers(ctx); err != nil {
		return nil, fmt.Errorf("verify %s: %w", content.Path(), err)
	}
	sortFindings(v.report.Findings)
	slices.Sort(v.report.Absent)
	return v.report, nil
}

// tagged returns the digests that the layout's own index lists.
func (v *verification) tagged() (map[string]bool, error) {
	index, err := v.content.Index()
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, d := range index.Manifests {
		listed[d.Digest.String()] = true
	}
	return listed, nil
}

// has reports whether a blob is there, whatever its bytes are.
func (v *verification) has(digest string) bool {
	_, ok := v.content.Size(digest)
	return ok
}

// image checks what of an image is here; its layers are noted for later.
func (v *verification) image(img *lock.Image, listed bool) error {
	v.named[img.Index] = true
	all := forms(img, func(string) bool { return true })
	here := 0
	for _, f := range all {
		wanted := len(v.Platforms) == 0 || slices.Contains(v.Platforms, f.platform.Platform)
		whole, err := v.form(f, wanted)
		if err != nil {
			return err
		}
		if whole {
			here++
		}
	}
	switch {
	case v.has(img.Index):
		if here == 0 {
			v.find(Finding{Kind: Missing, Image: id(img), Part: "manifest", Blob: all[0].manifest, Found: "the index is there, and no manifest that it leads to"})
		}
		return v.index(img)
	case listed:
		v.find(Finding{Kind: Missing, Image: id(img), Part: "index", Blob: img.Index, Found: "index.json lists it"})
	case here > 0 && !rebuilt(img):
		v.report.Absent = append(v.report.Absent, id(img)+" index")
		if v.Complete {
			v.find(Finding{Kind: Missing, Image: id(img), Part: "index", Blob: img.Index})
		}
	}
	return nil
}

// rebuilt reports whether an image's index, which is not here, follows from the lock alone.
func rebuilt(img *lock.Image) bool {
	data, err := component.Index(img)
	return err == nil && layout.Digest(data) == img.Index
}

// form checks one form, and reports whether anything of it is here.
func (v *verification) form(f form, wanted bool) (bool, error) {
	v.named[f.manifest], v.named[f.platform.Config] = true, true
	here := v.has(f.manifest)
	for _, l := range f.layers {
		v.named[l.Digest] = true
		here = here || v.has(l.Digest)
	}
	for _, e := range evidence(f.platform) {
		v.named[e[1]] = true
	}
	if !here {
		v.report.Absent = append(v.report.Absent, id(f.image)+" "+f.platform.Platform+" "+f.name)
		if v.Complete && wanted {
			v.find(f.finding(Missing, f.part("manifest"), f.manifest))
		}
		return false, nil
	}
	if !wanted {
		return true, nil
	}
	if err := v.manifest(f); err != nil {
		return true, err
	}
	for i := range f.layers {
		v.note(f, i)
	}
	if f.name == "zstd" || !v.has(f.platform.Manifest) {
		v.report.Images++
		v.report.Whole = append(v.report.Whole, id(f.image)+" "+f.platform.Platform)
		return true, v.evidence(f)
	}
	return true, nil
}

// evidence checks the statements about a platform's image.
func (v *verification) evidence(f form) error {
	for _, e := range evidence(f.platform) {
		if !v.has(e[1]) {
			v.report.Absent = append(v.report.Absent, id(f.image)+" "+f.platform.Platform+" "+e[0])
			if v.Complete {
				v.find(f.finding(Missing, e[0], e[1]))
			}
			continue
		}
		if _, err := v.read(f.finding("", e[0], e[1])); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) find(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Findings = append(v.report.Findings, f)
}

// leftovers finds what nothing proved names.
func (v *verification) leftovers() {
	for _, d := range v.content.Digests() {
		switch {
		case v.named[d] || v.superseded(d):
		case v.Others:
			v.report.Others = append(v.report.Others, d)
		default:
			v.find(Finding{Kind: Unnamed, Part: "blob", Blob: d})
		}
	}
	for _, s := range v.content.Strays() {
		if v.Others {
			v.report.Others = append(v.report.Others, s)
			continue
		}
		v.find(Finding{Kind: Stray, Part: "entry", Blob: s, Found: "it is no part of an OCI layout"})
	}
}

// superseded reports whether a blob is an earlier list of referrers: an index that names nothing but what is
// proved. Layouts keep those that a longer list has replaced.
func (v *verification) superseded(digest string) bool {
	data, err := v.content.ReadBlob(digest)
	if err != nil {
		return false
	}
	list, err := layout.ParseObject(data)
	if err != nil || !list.Index || len(list.Manifests) == 0 || list.Subject != nil || len(list.Annotations) > 0 {
		return false
	}
	for _, d := range list.Manifests {
		if !v.named[d.Digest.String()] {
			return false
		}
	}
	v.report.Blobs++
	v.report.Bytes += int64(len(data))
	return true
}

// readLayers reads all layers, the largest first.
func (v *verification) readLayers(ctx context.Context) error {
	var tasks []*layerTask
	var total int64
	for _, t := range v.layers {
		tasks = append(tasks, t)
		total += t.size
	}
	slices.SortFunc(tasks, func(a, b *layerTask) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.digest, b.digest)) })
	if v.Total != nil {
		v.Total(total)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(v.Parallel)
	for _, t := range tasks {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return v.layer(ctx, t)
		})
	}
	return group.Wait()
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
