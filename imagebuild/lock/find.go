package lock

import (
	"slices"
	"strings"
)

// ByName returns the images of that name, one for each version.
func (l *Lock) ByName(name string) []*Image {
	var all []*Image
	for i := range l.Images {
		if l.Images[i].Name == name {
			all = append(all, &l.Images[i])
		}
	}
	return all
}

// Find returns the image of that name and version.
func (l *Lock) Find(name, version string) (*Image, bool) {
	for _, img := range l.ByName(name) {
		if img.Version == version {
			return img, true
		}
	}
	return nil, false
}

// Only returns a lock with the images of those names and nothing else, to compare or publish
// a part. Names that are not there are ignored.
func (l *Lock) Only(names ...string) *Lock {
	part := &Lock{Schema: l.Schema, Number: l.Number, Issued: l.Issued, Expires: l.Expires, Toolchain: l.Toolchain}
	for _, img := range l.Images {
		if slices.Contains(names, img.Name) {
			part.Images = append(part.Images, img)
		}
	}
	return part
}

// ByManifest returns the image and the platform whose manifest has that digest. An
// unresolved image has none, so it is never found.
func (l *Lock) ByManifest(digest string) (*Image, *Platform, bool) {
	for i := range l.Images {
		for j := range l.Images[i].Platforms {
			if p := &l.Images[i].Platforms[j]; p.Manifest == digest && l.Images[i].Unresolved == "" {
				return &l.Images[i], p, true
			}
		}
	}
	return nil, nil, false
}

// For returns the image's entry for a platform such as "linux/amd64".
func (img *Image) For(platform string) (*Platform, bool) {
	if img.Unresolved != "" {
		return nil, false
	}
	for i := range img.Platforms {
		if img.Platforms[i].Platform == platform {
			return &img.Platforms[i], true
		}
	}
	return nil, false
}

// File returns the file at a relative path such as "usr/bin/etcd".
func (p *Platform) File(path string) (Binary, bool) {
	for _, f := range p.Files {
		if f.Path == path {
			return f, true
		}
	}
	return Binary{}, false
}

// Bytes returns the bytes of all layers as they travel.
func (p *Platform) Bytes() int64 {
	var n int64
	for _, l := range p.Layers {
		n += l.Size
	}
	return n
}

// Compare orders images by name, then by version, as a lock has them.
func (img *Image) Compare(other *Image) int {
	if n := strings.Compare(img.Name, other.Name); n != 0 {
		return n
	}
	return strings.Compare(img.Version, other.Version)
}
