package sbom

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// SPDXVersion is the version of the specification that SPDX documents follow.
const SPDXVersion = "SPDX-2.3"

// The types are the part of the SPDX 2.3 JSON schema that is used here; field names are its own.
type spdxDocument struct {
	SPDXVersion       string             `json:"spdxVersion"`
	DataLicense       string             `json:"dataLicense"`
	SPDXID            string             `json:"SPDXID"`
	Name              string             `json:"name"`
	DocumentNamespace string             `json:"documentNamespace"`
	CreationInfo      spdxCreation       `json:"creationInfo"`
	Packages          []spdxPackage      `json:"packages"`
	Files             []spdxFile         `json:"files"`
	Relationships     []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string            `json:"SPDXID"`
	Name             string            `json:"name"`
	VersionInfo      string            `json:"versionInfo,omitempty"`
	PackageFileName  string            `json:"packageFileName,omitempty"`
	DownloadLocation string            `json:"downloadLocation"`
	FilesAnalyzed    bool              `json:"filesAnalyzed"`
	VerificationCode *spdxVerification `json:"packageVerificationCode,omitempty"`
	Checksums        []spdxChecksum    `json:"checksums,omitempty"`
	Purpose          string            `json:"primaryPackagePurpose,omitempty"`
	ExternalRefs     []spdxReference   `json:"externalRefs,omitempty"`
	LicenseConcluded string            `json:"licenseConcluded"`
	LicenseDeclared  string            `json:"licenseDeclared"`
	CopyrightText    string            `json:"copyrightText"`
	Comment          string            `json:"comment,omitempty"`
}

type spdxVerification struct {
	Value string `json:"packageVerificationCodeValue"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxFile struct {
	SPDXID           string         `json:"SPDXID"`
	FileName         string         `json:"fileName"`
	FileTypes        []string       `json:"fileTypes,omitempty"`
	Checksums        []spdxChecksum `json:"checksums"`
	LicenseConcluded string         `json:"licenseConcluded"`
	CopyrightText    string         `json:"copyrightText"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// noAssertion is how SPDX says that nothing is claimed; licences are not looked into here.
const noAssertion = "NOASSERTION"

// SPDX returns the inventory as an SPDX 2.3 document in JSON. Its namespace is made of its own
// content, and nothing in it depends on time or place.
func (inv *Inventory) SPDX() ([]byte, error) {
	doc := spdxDocument{
		SPDXVersion: SPDXVersion, DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: inv.title(),
		CreationInfo: spdxCreation{Created: created, Creators: []string{"Tool: slipway-images"}},
	}
	const image = "SPDXRef-Image"
	relate := func(element, kind, related string) {
		doc.Relationships = append(doc.Relationships, spdxRelationship{element, kind, related})
	}
	doc.Packages = append(doc.Packages, inv.spdxImage(image))
	relate(doc.SPDXID, "DESCRIBES", image)
	modules := inv.Modules()
	for _, t := range inv.Toolchains() {
		modules = append(modules, standardLibrary(t))
	}
	for _, m := range modules {
		doc.Packages = append(doc.Packages, spdxModule(m))
		relate(image, "CONTAINS", moduleID(m))
	}
	for _, d := range inv.Debian {
		p := spdxDebian(d)
		doc.Packages = append(doc.Packages, p)
		relate(image, "CONTAINS", p.SPDXID)
	}
	for _, f := range inv.Files {
		file := spdxRegular(f)
		doc.Files = append(doc.Files, file)
		relate(image, "CONTAINS", file.SPDXID)
		if f.Program == nil {
			continue
		}
		relate(file.SPDXID, "GENERATED_FROM", moduleID(f.Program.Main))
		for _, m := range append(slices.Clone(f.Program.Deps), standardLibrary(f.Program.Toolchain)) {
			relate(file.SPDXID, "STATIC_LINK", moduleID(m))
		}
	}
	slices.SortFunc(doc.Packages[1:], func(a, b spdxPackage) int { return strings.Compare(a.SPDXID, b.SPDXID) })
	slices.SortFunc(doc.Relationships, func(a, b spdxRelationship) int {
		return cmp.Or(strings.Compare(a.Element, b.Element), strings.Compare(a.Type, b.Type), strings.Compare(a.Related, b.Related))
	})
	sum, err := fingerprint(doc)
	if err != nil {
		return nil, fmt.Errorf("SPDX of %s: %w", inv.title(), err)
	}
	doc.DocumentNamespace = fmt.Sprintf("https://slipway.build/spdx/%s/%s/%x", inv.Name, escape(inv.Version, ""), sum)
	b, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("SPDX of %s: %w", inv.title(), err)
	}
	return b, nil
}

func (inv *Inventory) spdxImage(id string) spdxPackage {
	p := newPackage(id, inv.Repository, inv.Version)
	p.Purpose, p.FilesAnalyzed = "CONTAINER", true
	p.VerificationCode = &spdxVerification{inv.verificationCode()}
	p.Checksums = []spdxChecksum{{"SHA256", strings.TrimPrefix(inv.Manifest, "sha256:")}}
	p.Comment = "the checksum is the digest of the manifest for " + inv.Platform
	p.ExternalRefs = append(p.ExternalRefs, packageManager(inv.purl(inv.Manifest)))
	if inv.Gzip != "" {
		p.ExternalRefs = append(p.ExternalRefs, packageManager(inv.purl(inv.Gzip)))
	}
	return p
}

// verificationCode is SPDX 2.3's 7.9: the sha1 over the sorted sha1 sums of all files.
func (inv *Inventory) verificationCode() string {
	var sums []string
	for _, f := range inv.Files {
		sums = append(sums, f.SHA1)
	}
	slices.Sort(sums)
	code := sha1.Sum([]byte(strings.Join(sums, "")))
	return hex.EncodeToString(code[:])
}

func spdxModule(m Module) spdxPackage {
	p := newPackage(moduleID(m), m.Path, m.Version)
	p.Purpose = "LIBRARY"
	p.ExternalRefs = []spdxReference{packageManager(m.PURL())}
	var notes []string
	if hex := m.SHA256(); hex != "" {
		p.Checksums = []spdxChecksum{{"SHA256", hex}}
		notes = append(notes, "the checksum is the module's sum in go.sum, "+m.Sum)
	}
	if m.Replaces != "" {
		notes = append(notes, "it replaces "+m.Replaces)
	}
	p.Comment = strings.Join(notes, "; ")
	return p
}

func spdxDebian(d lock.Package) spdxPackage {
	p := newPackage("SPDXRef-Debian-"+identifier(d.Name, d.SHA256), d.Name, d.Version)
	p.PackageFileName = d.Path
	p.Checksums = []spdxChecksum{{"SHA256", d.SHA256}}
	p.ExternalRefs = []spdxReference{packageManager(PackageURL(d))}
	return p
}

func spdxRegular(f File) spdxFile {
	file := spdxFile{
		SPDXID: "SPDXRef-File-" + identifier(path.Base(f.Path), f.Path), FileName: "./" + f.Path,
		Checksums:        []spdxChecksum{{"SHA1", f.SHA1}, {"SHA256", f.SHA256}},
		LicenseConcluded: noAssertion, CopyrightText: noAssertion,
	}
	if f.Program != nil {
		file.FileTypes = []string{"BINARY"}
	}
	return file
}

func newPackage(id, name, version string) spdxPackage {
	return spdxPackage{
		SPDXID: id, Name: name, VersionInfo: version, DownloadLocation: noAssertion,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
	}
}

func packageManager(purl string) spdxReference {
	return spdxReference{"PACKAGE-MANAGER", "purl", purl}
}

func moduleID(m Module) string {
	return "SPDXRef-Go-" + identifier(m.Path+"-"+m.Version, m.Path+"@"+m.Version+" "+m.Sum+" "+m.Replaces)
}

// identifier makes the part of an SPDX identifier that tells things apart: a name of letters,
// digits, dots and hyphens, which is all that is allowed, and the beginning of a hash of what is
// unique about the thing.
func identifier(name, unique string) string {
	safe := strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", r) {
			return r
		}
		return '-'
	}, name)
	sum := sha256.Sum256([]byte(unique))
	return fmt.Sprintf("%s-%x", safe, sum[:6])
}
