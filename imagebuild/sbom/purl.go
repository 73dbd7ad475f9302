package sbom

import (
	"path"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// The forms below are those of the package URL specification: types golang, deb and oci.

// PURL returns the module's package URL. The type wants lower case, so two modules whose paths
// differ in case alone would share one; their names differ.
func (m Module) PURL() string {
	u := "pkg:golang/" + escape(strings.ToLower(m.Path), "/")
	if m.Version != "" {
		u += "@" + escape(m.Version, "")
	}
	return u
}

// standardLibrary is the library that came with a toolchain, under the name that scanners know.
func standardLibrary(toolchain string) Module {
	return Module{Path: "stdlib", Version: strings.TrimPrefix(toolchain, "go")}
}

// PackageURL returns a Debian package's package URL.
func PackageURL(p lock.Package) string {
	u := "pkg:deb/debian/" + escape(strings.ToLower(p.Name), "") + "@" + escape(p.Version, "")
	if arch := architecture(p); arch != "" {
		u += "?arch=" + escape(arch, "")
	}
	return u
}

// architecture returns what stands between the last "_" and ".deb" of a pool path.
func architecture(p lock.Package) string {
	base := strings.TrimSuffix(path.Base(p.Path), ".deb")
	if i := strings.LastIndexByte(base, '_'); i >= 0 {
		return base[i+1:]
	}
	return ""
}

// purl returns the image's package URL by the digest of one of its manifests.
func (inv *Inventory) purl(manifest string) string {
	_, arch, _ := strings.Cut(inv.Platform, "/")
	return "pkg:oci/" + escape(path.Base(inv.Repository), "") + "@" + escape(manifest, "") +
		"?arch=" + escape(arch, "") + "&tag=" + escape(inv.Version, "")
}

// escape percent-encodes everything but unreserved characters and those in keep. A colon is
// encoded, too: the specification lets it stand, and its parsers read both.
func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
