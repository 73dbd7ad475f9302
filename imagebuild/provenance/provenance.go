package provenance

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sbom"
)

// New returns the statement about one platform of an image. Manifests, files and Debian packages of
// p must be known; p.Evidence is not read. The modules come from the programs themselves, through
// the inventory; toolchain is the lock's.
func New(img *lock.Image, p *lock.Platform, toolchain string, inv *sbom.Inventory) (*Statement, error) {
	s := fromLock(img, p, toolchain)
	deps := s.Predicate.BuildDefinition.ResolvedDependencies
	for _, m := range inv.Modules() {
		deps = append(deps, module(m))
	}
	for _, t := range inv.Toolchains() {
		if t != toolchain && len(inv.Debian) == 0 {
			return nil, fmt.Errorf("provenance of %s %s %s: a program was linked by %s, the lock's toolchain is %s", img.Name, img.Version, p.Platform, t, toolchain)
		}
	}
	s.Predicate.BuildDefinition.ResolvedDependencies = sorted(deps)
	return s, nil
}

// fromLock makes as much of the statement as the lock alone decides.
func fromLock(img *lock.Image, p *lock.Platform, toolchain string) *Statement {
	s := &Statement{Type: StatementType, PredicateType: PredicateType}
	s.Subject = subjects(img, p)
	def := &s.Predicate.BuildDefinition
	s.Predicate.RunDetails.Builder.ID = BuilderID
	def.BuildType = BuildType
	def.ExternalParameters = Parameters{
		Image: img.Name, Version: img.Version, Platform: p.Platform, Module: img.Source.Module,
		Packages: img.Source.Packages, Flags: img.Source.Flags, Toolchain: toolchain,
	}
	deps := []Resource{{Name: "go", URI: "pkg:golang/toolchain@" + strings.TrimPrefix(toolchain, "go")}}
	if img.Source.GoSum != "" {
		deps = append(deps, Resource{Name: "go.sum", Digest: sha256Digest(img.Source.GoSum)})
	}
	for _, d := range p.Debian {
		def.ExternalParameters.Debian = append(def.ExternalParameters.Debian, d.Name+" "+d.Version)
		deps = append(deps, Resource{
			Name: d.Path, URI: sbom.PackageURL(d), Digest: map[string]string{"sha256": d.SHA256},
		})
	}
	slices.Sort(def.ExternalParameters.Debian)
	def.ResolvedDependencies = sorted(deps)
	return s
}

// subjects are the image's manifests, which a verifier of an image asks for, and its files.
func subjects(img *lock.Image, p *lock.Platform) []Resource {
	manifest := func(digest string) Resource {
		return Resource{Name: img.Repository + "@" + digest, Digest: sha256Digest(digest)}
	}
	all := []Resource{manifest(p.Manifest)}
	if p.Gzip.Manifest != "" {
		all = append(all, manifest(p.Gzip.Manifest))
	}
	for _, f := range p.Files {
		all = append(all, Resource{Name: f.Path, Digest: map[string]string{"sha256": f.SHA256}})
	}
	return sorted(all)
}

// dirHash is in-toto's name of the algorithm of go.sum's h1 sums.
const dirHash = "dirHash"

func module(m sbom.Module) Resource {
	r := Resource{Name: m.Path, URI: m.PURL()}
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) > 0 {
		r.Digest = map[string]string{dirHash: hex.EncodeToString(sum)}
	}
	if m.Replaces != "" {
		r.Annotations = map[string]string{"replaces": m.Replaces}
	}
	return r
}

func sha256Digest(digest string) map[string]string {
	return map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}
}

func sorted(all []Resource) []Resource {
	slices.SortFunc(all, func(a, b Resource) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.URI, b.URI),
			strings.Compare(a.Digest["sha256"], b.Digest["sha256"]), strings.Compare(a.Annotations["replaces"], b.Annotations["replaces"]))
	})
	return all
}
