package lock

import "slices"

// ByName returns the image of that name.
func (l *Lock) ByName(name string) (*Image, bool) {
	for i := range l.Images {
		if l.Images[i].Name == name {
			return &l.Images[i], true
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

// Size returns the bytes of all layers as they travel.
func (p *Platform) Size() int64 {
	var n int64
	for _, l := range p.Layers {
		n += l.Size
	}
	return n
}
