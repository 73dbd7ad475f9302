package trust

import (
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Verdict says how a link of a chain is known.
type Verdict string

// The verdicts.
const (
	ProvedHere Verdict = "proved"  // bytes were hashed, or a signature was verified, by this run
	Stated     Verdict = "stated"  // a signed lock says so, and the bytes are not here
	Unknown    Verdict = "unknown" // nobody says
	Wrong      Verdict = "wrong"   // what is here is not what the lock says
)

// Link is one hash of the chain from a node's OS to the sources of its components.
type Link struct {
	Of      string  `json:"of"`             // "os fedora-coreos linux/amd64", "lock", "etcd@v3.6.16 linux/amd64"
	What    string  `json:"what"`           // "base", "layer diffID", "index", "file usr/bin/etcd"
	Hash    string  `json:"hash,omitempty"` // whole, as tools print it; empty when unknown
	Note    string  `json:"note,omitempty"`
	Verdict Verdict `json:"verdict"`
}

// Short returns the hash in the form that people compare: its kind and the first twelve digits.
func (l Link) Short() string {
	kind, digits, ok := strings.Cut(l.Hash, ":")
	if !ok {
		return l.Hash
	}
	return kind + ":" + digits[:min(len(digits), 12)]
}

// OS is what is known of a node OS image.
type OS struct {
	Name, Platform  string
	Reference, Base string // of the base; no digest while it is unresolved
	Unresolved      string // why
	Derived, Layer  string // digest of the manifest, diff ID of our layer
	Components      string // digest of the components' lock that is baked in
	Key             string // id of the key that signed the OS lock; empty for an unsigned one
}

// OSChain returns the links of node OS images down to the lock that is baked in. signed may be nil: it is the lock
// that was verified here.
func OSChain(images []OS, signed *Signed) []Link {
	var all []Link
	for _, o := range images {
		of := "os " + o.Name + " " + o.Platform
		base := Link{Of: of, What: "base", Hash: o.Base, Note: o.Reference, Verdict: Stated}
		if o.Base == "" {
			base.Verdict, base.Note = Unknown, o.Reference+": "+o.Unresolved
		}
		key := Link{Of: of, What: "signed by", Hash: o.Key, Verdict: ProvedHere}
		if o.Key == "" {
			key.Verdict, key.Note = Unknown, "the OS lock's signature was not verified"
		}
		all = append(all, key, base)
		if o.Derived != "" {
			all = append(all, Link{Of: of, What: "image", Hash: o.Derived, Verdict: Stated})
		}
		baked := Link{Of: of, What: "components' lock", Hash: o.Components, Verdict: Stated}
		switch {
		case signed != nil && signed.Digest == o.Components:
			baked.Verdict, baked.Note = ProvedHere, "the lock below"
		case signed != nil:
			baked.Note = "not the lock below"
		}
		all = append(all, Link{Of: of, What: "layer diffID", Hash: o.Layer, Verdict: Stated}, baked)
	}
	return all
}

// Chain returns the links from a signed lock to the sources of images: all of them, or those that are named by
// NAME or NAME@VERSION. report is the proof of a layout and may be nil: then the lock's word is all there is.
func Chain(signed *Signed, report *Report, names ...string) []Link {
	all := []Link{
		{Of: "lock", What: "signed by", Hash: signed.Key, Verdict: ProvedHere},
		{Of: "lock", What: "lock", Hash: signed.Digest, Note: "number " + decimal(signed.Number), Verdict: ProvedHere},
	}
	for i := range signed.Images {
		img := &signed.Images[i]
		if len(names) == 0 || slices.Contains(names, img.Name) || slices.Contains(names, id(img)) {
			all = append(all, imageChain(signed, img, report)...)
		}
	}
	return all
}

func imageChain(signed *Signed, img *lock.Image, report *Report) []Link {
	if img.Unresolved != "" {
		return []Link{{Of: id(img), What: "image", Note: img.Unresolved, Verdict: Unknown}}
	}
	best := Stated
	all := []Link{}
	for i := range img.Platforms {
		p := &img.Platforms[i]
		verdict := report.verdict(img, p)
		if verdict != Stated {
			best = verdict
		}
		of := id(img) + " " + p.Platform
		add := func(what, hash string, v Verdict) {
			all = append(all, Link{Of: of, What: what, Hash: hash, Verdict: v})
		}
		add("manifest", p.Manifest, verdict)
		add("configuration", p.Config, verdict)
		for _, l := range p.Layers {
			add("layer", l.Digest, verdict)
			add("layer diffID", l.DiffID, verdict)
		}
		for _, f := range p.Files {
			add("file "+f.Path, "sha256:"+f.SHA256, verdict)
		}
		for _, d := range p.Debian {
			add("package "+d.Name+" "+d.Version, "sha256:"+d.SHA256, Stated)
		}
		for _, e := range evidence(p) {
			add(e[0], e[1], report.evidence(of, e[0], verdict))
		}
	}
	all = append([]Link{{Of: id(img), What: "index", Hash: img.Index, Verdict: best}}, all...)
	source := func(what, hash, note string) {
		if hash != "" || note != "" {
			all = append(all, Link{Of: id(img), What: what, Hash: hash, Note: note, Verdict: Stated})
		}
	}
	source("source "+img.Source.Module+" "+img.Source.Version, img.Source.Sum, "")
	source("go.sum", img.Source.GoSum, "")
	source("reference", "", img.Source.Reference)
	if img.Source.Module != "" {
		source("toolchain", "", signed.Toolchain)
	}
	return all
}

// verdict says how an image of a platform is known after a verification.
func (r *Report) verdict(img *lock.Image, p *lock.Platform) Verdict {
	if r == nil {
		return Stated
	}
	for _, f := range r.Findings {
		if f.Image == id(img) && (f.Platform == p.Platform || f.Platform == "") {
			return Wrong
		}
	}
	if slices.Contains(r.Whole, id(img)+" "+p.Platform) {
		return ProvedHere
	}
	return Stated
}

// evidence is verdict for a statement, which may be absent from what is otherwise whole.
func (r *Report) evidence(of, what string, image Verdict) Verdict {
	if r == nil || slices.Contains(r.Absent, of+" "+what) {
		return Stated
	}
	return image
}
