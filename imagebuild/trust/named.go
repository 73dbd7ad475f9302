package trust

import (
	"fmt"
	"strconv"

	"slipway.build/slipway/imagebuild/lock"
)

// form is one manifest of one platform of one image, as the lock says it.
type form struct {
	image    *lock.Image
	platform *lock.Platform
	name     string // "zstd" or "gzip"
	manifest string
	size     int64 // of the manifest, 0 when the lock does not say
	layers   []lock.Layer
}

// forms returns what the lock says of an image, for the platforms that are asked for.
func forms(img *lock.Image, wanted func(platform string) bool) []form {
	var all []form
	for i := range img.Platforms {
		p := &img.Platforms[i]
		if !wanted(p.Platform) {
			continue
		}
		all = append(all, form{img, p, "zstd", p.Manifest, p.Size, p.Layers})
		if p.Gzip.Manifest != "" {
			all = append(all, form{img, p, "gzip", p.Gzip.Manifest, p.Gzip.Size, p.Gzip.Layers})
		}
	}
	return all
}

// id names an image in messages.
func id(img *lock.Image) string { return img.Name + "@" + img.Version }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// finding starts a finding about a part of the form.
func (f form) finding(kind Kind, part, blob string) Finding {
	return Finding{Kind: kind, Image: id(f.image), Platform: f.platform.Platform, Part: part, Blob: blob}
}

func (f form) part(what string) string { return fmt.Sprintf("%s (%s)", what, f.name) }

func (f form) layerPart(i int) string {
	return f.part(fmt.Sprintf("layer %d of %d", i+1, len(f.layers)))
}

// evidence are the digests of a platform's statements, each with its name.
func evidence(p *lock.Platform) [][2]string {
	var all [][2]string
	for _, e := range [][2]string{{"SPDX", p.Evidence.SPDX}, {"CycloneDX", p.Evidence.CycloneDX}, {"provenance", p.Evidence.Provenance}} {
		if e[1] != "" {
			all = append(all, e)
		}
	}
	return all
}

// Names are the digests that a lock names, each with the first thing that has it.
func Names(l *lock.Lock) map[string]string {
	names := map[string]string{}
	add := func(digest, what string) {
		if _, ok := names[digest]; !ok && digest != "" {
			names[digest] = what
		}
	}
	for i := range l.Images {
		img := &l.Images[i]
		add(img.Index, id(img)+" index")
		for _, f := range forms(img, func(string) bool { return true }) {
			at := id(img) + " " + f.platform.Platform + " "
			add(f.manifest, at+f.part("manifest"))
			add(f.platform.Config, at+"configuration")
			for n, layer := range f.layers {
				add(layer.Digest, at+f.layerPart(n))
			}
			for _, e := range evidence(f.platform) {
				add(e[1], at+e[0])
			}
		}
	}
	return names
}
