package release

import (
	"io"

	"slipway.build/slipway/imagebuild/lock"
)

// WriteText writes the explanation for people, from the source down to the signature.
func (e *Explanation) WriteText(w io.Writer) error {
	t := &writer{to: w}
	img := &e.Image
	t.line("%s %s, repository %s", img.Name, img.Version, img.Repository)
	e.source(t)
	for i := range img.Platforms {
		writePlatform(t, &img.Platforms[i])
	}
	if img.Index != "" {
		t.line("  index %s", img.Index)
	}
	if img.Unresolved != "" {
		t.line("  unresolved: %s; it never runs", img.Unresolved)
	}
	e.use(t)
	t.line("  lock %d, %s, to be applied from %s to %s", e.Lock.Number, e.Lock.Digest, e.Lock.Issued, e.Lock.Expires)
	if e.Signature.Problem == "" && e.Signature.KeyID != "" {
		t.line("    signed in %s by key %s", e.Signature.File, e.Signature.KeyID)
	} else {
		t.line("    not signed here: %s", e.Signature.Problem)
	}
	for _, a := range e.Accepted {
		t.line("    accepted until %s, rule %s: %s", a.Until, a.Rule, a.Reason)
	}
	return t.err
}

func (e *Explanation) source(t *writer) {
	s := &e.Image.Source
	if s.Reference != "" {
		t.line("  from upstream's image %s", s.Reference)
		return
	}
	t.line("  from module %s %s, %s", s.Module, s.Version, s.Sum)
	for _, p := range s.Packages {
		t.line("    package %s", p)
	}
	t.line("    every dependency by the build module's go.sum, %s", s.GoSum)
	t.line("  built by %s with", e.Toolchain)
	for _, f := range s.Flags {
		t.line("    %s", f)
	}
}

func writePlatform(t *writer, p *lock.Platform) {
	t.line("  for %s", p.Platform)
	for _, f := range p.Files {
		t.line("    file %s, sha256 %s, %d bytes", f.Path, f.SHA256, f.Size)
	}
	for _, d := range p.Debian {
		t.line("    Debian package %s %s, sha256 %s, %s", d.Name, d.Version, d.SHA256, d.Path)
	}
	layers(t, "layer", p.Layers)
	t.line("    configuration %s", p.Config)
	t.line("    manifest %s; nodes fetch this one", p.Manifest)
	if p.Gzip.Manifest != "" {
		layers(t, "gzip layer", p.Gzip.Layers)
		t.line("    gzip manifest %s", p.Gzip.Manifest)
	}
	for _, e := range []struct{ name, digest string }{
		{"SPDX", p.Evidence.SPDX}, {"CycloneDX", p.Evidence.CycloneDX}, {"provenance", p.Evidence.Provenance},
	} {
		if e.digest != "" {
			t.line("    %s %s", e.name, e.digest)
		}
	}
}

func layers(t *writer, name string, all []lock.Layer) {
	for _, l := range all {
		t.line("    %s %s, %d bytes, unpacks to %s", name, l.Digest, l.Size, l.DiffID)
	}
}

// use says what the image is used for, and how long.
func (e *Explanation) use(t *writer) {
	img := &e.Image
	if len(img.Kubernetes) > 0 {
		t.line("  fits Kubernetes %s", words(img.Kubernetes))
	}
	if img.Supported != "" {
		t.line("  upstream supports it until %s", img.Supported)
	}
	if img.System != "" {
		t.line("  has a system beneath: %s", img.System)
	}
	if len(img.HostTools) > 0 {
		t.line("  runs the node's %s", words(img.HostTools))
	}
}
