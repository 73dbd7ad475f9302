package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// CycloneDXVersion is the version of the specification that CycloneDX documents follow.
const CycloneDXVersion = "1.6"

// The types are the part of the CycloneDX 1.6 JSON schema that is used here; field names are its
// own.
type cdxDocument struct {
	BOMFormat    string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	SerialNumber string          `json:"serialNumber,omitempty"`
	Version      int             `json:"version"`
	Metadata     cdxMetadata     `json:"metadata"`
	Components   []cdxComponent  `json:"components"`
	Dependencies []cdxDependency `json:"dependencies"`
}

type cdxMetadata struct {
	Timestamp  string         `json:"timestamp"`
	Lifecycles []cdxLifecycle `json:"lifecycles"`
	Tools      cdxTools       `json:"tools"`
	Component  cdxComponent   `json:"component"`
}

type cdxLifecycle struct {
	Phase string `json:"phase"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxComponent struct {
	Type       string        `json:"type"`
	BOMRef     string        `json:"bom-ref,omitempty"`
	Name       string        `json:"name"`
	Version    string        `json:"version,omitempty"`
	Hashes     []cdxHash     `json:"hashes,omitempty"`
	PURL       string        `json:"purl,omitempty"`
	Properties []cdxProperty `json:"properties,omitempty"`
}

type cdxHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// Names of the properties that CycloneDX has no field for.
const (
	propertySum       = "slipway:go:sum"      // h1:… as in go.sum
	propertyReplaces  = "slipway:go:replaces" // path@version of the module that is replaced
	propertyPackage   = "slipway:go:package"  // import path of a program's main package
	propertyToolchain = "slipway:go:toolchain"
	propertyPool      = "slipway:debian:path" // beneath an archive
	propertyGzip      = "slipway:oci:gzip"    // digest of the manifest with gzip layers
)

// CycloneDX returns the inventory as a CycloneDX 1.6 document in JSON. Its serial number is made
// of its own content, and nothing in it depends on time or place.
func (inv *Inventory) CycloneDX() ([]byte, error) {
	doc := cdxDocument{
		BOMFormat: "CycloneDX", SpecVersion: CycloneDXVersion, Version: 1,
		Metadata: cdxMetadata{
			Timestamp: created, Lifecycles: []cdxLifecycle{{"build"}},
			Tools:     cdxTools{[]cdxComponent{{Type: "application", Name: "slipway-images"}}},
			Component: inv.cdxImage(),
		},
		Components: []cdxComponent{},
	}
	image := cdxDependency{Ref: doc.Metadata.Component.BOMRef}
	modules := inv.Modules()
	for _, t := range inv.Toolchains() {
		modules = append(modules, standardLibrary(t))
	}
	for _, m := range modules {
		doc.Components = append(doc.Components, cdxModule(m))
		doc.Dependencies = append(doc.Dependencies, cdxDependency{Ref: moduleRef(m)})
	}
	for _, d := range inv.Debian {
		c := cdxDebian(d)
		doc.Components = append(doc.Components, c)
		doc.Dependencies = append(doc.Dependencies, cdxDependency{Ref: c.BOMRef})
		image.DependsOn = append(image.DependsOn, c.BOMRef)
	}
	for _, f := range inv.Files {
		c := cdxFile(f)
		doc.Components = append(doc.Components, c)
		doc.Dependencies = append(doc.Dependencies, cdxDependency{Ref: c.BOMRef, DependsOn: linked(f.Program)})
		image.DependsOn = append(image.DependsOn, c.BOMRef)
	}
	slices.Sort(image.DependsOn)
	doc.Dependencies = append(doc.Dependencies, image)
	slices.SortFunc(doc.Components, func(a, b cdxComponent) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.BOMRef, b.BOMRef))
	})
	slices.SortFunc(doc.Dependencies, func(a, b cdxDependency) int { return strings.Compare(a.Ref, b.Ref) })
	sum, err := fingerprint(doc)
	if err != nil {
		return nil, fmt.Errorf("CycloneDX of %s: %w", inv.title(), err)
	}
	doc.SerialNumber = "urn:uuid:" + uuid(sum)
	b, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("CycloneDX of %s: %w", inv.title(), err)
	}
	return b, nil
}

// linked returns the references of everything that is linked into a program, sorted.
func linked(p *Program) []string {
	if p == nil {
		return nil
	}
	refs := []string{moduleRef(p.Main), moduleRef(standardLibrary(p.Toolchain))}
	for _, m := range p.Deps {
		refs = append(refs, moduleRef(m))
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

func (inv *Inventory) cdxImage() cdxComponent {
	c := cdxComponent{
		Type: "container", BOMRef: "image", Name: inv.Repository, Version: inv.Version,
		Hashes: []cdxHash{{"SHA-256", strings.TrimPrefix(inv.Manifest, "sha256:")}},
		PURL:   inv.purl(inv.Manifest),
	}
	if inv.Gzip != "" {
		c.Properties = []cdxProperty{{propertyGzip, inv.Gzip}}
	}
	return c
}

func cdxModule(m Module) cdxComponent {
	c := cdxComponent{Type: "library", BOMRef: moduleRef(m), Name: m.Path, Version: m.Version, PURL: m.PURL()}
	if hex := m.SHA256(); hex != "" {
		c.Hashes = []cdxHash{{"SHA-256", hex}}
		c.Properties = append(c.Properties, cdxProperty{propertySum, m.Sum})
	}
	if m.Replaces != "" {
		c.Properties = append(c.Properties, cdxProperty{propertyReplaces, m.Replaces})
	}
	return c
}

func cdxDebian(d lock.Package) cdxComponent {
	return cdxComponent{
		Type: "library", BOMRef: "debian:" + d.SHA256, Name: d.Name, Version: d.Version,
		Hashes: []cdxHash{{"SHA-256", d.SHA256}}, PURL: PackageURL(d),
		Properties: []cdxProperty{{propertyPool, d.Path}},
	}
}

func cdxFile(f File) cdxComponent {
	c := cdxComponent{
		Type: "file", BOMRef: "file:" + f.Path, Name: f.Path,
		Hashes: []cdxHash{{"SHA-256", f.SHA256}},
	}
	if f.Program != nil {
		c.Properties = []cdxProperty{{propertyPackage, f.Program.Package}, {propertyToolchain, f.Program.Toolchain}}
	}
	return c
}

// moduleRef names a module within a document. The path keeps its case, and sum and what it
// replaces are part of the name: one module may stand in for several.
func moduleRef(m Module) string {
	ref := "go:" + m.Path + "@" + m.Version
	if m.Sum != "" {
		ref += " " + m.Sum
	}
	if m.Replaces != "" {
		ref += " for " + m.Replaces
	}
	return ref
}
