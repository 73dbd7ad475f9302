package osimage

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Schema is the only schema identifier of OS locks that this package accepts.
const Schema = "slipway.build/os/v1"

// Lock says what a node OS image consists of. It lies beside the image and not in it, because
// it holds the image's digest.
type Lock struct {
	Schema string    `yaml:"schema" json:"schema"`
	Images []OSImage `yaml:"images" json:"images"`
}

// OSImage is one base with the layer on top.
type OSImage struct {
	Name     string `yaml:"name" json:"name"`         // "fedora-coreos"
	Platform string `yaml:"platform" json:"platform"` // "linux/amd64"
	Base     Base   `yaml:"base" json:"base"`
	// Layer is the diff ID of our layer.
	Layer string `yaml:"layer" json:"layer"`
	// Derived is the digest of the derived image's manifest; empty while the base is unresolved.
	Derived string `yaml:"derived,omitempty" json:"derived,omitempty"`
	// Components is the digest of the components' lock that is baked in.
	Components string `yaml:"components" json:"components"`
	// Toolchain is the Go release that the programs in the layer were built by.
	Toolchain string `yaml:"toolchain,omitempty" json:"toolchain,omitempty"`
	// Repositories are those that the layer's policy lets the node take OS images from, with a signature.
	Repositories []string `yaml:"repositories,omitempty" json:"repositories,omitempty"`
	// Accept are the policy's scopes that need no signature.
	Accept []string `yaml:"accept,omitempty" json:"accept,omitempty"`
}

// Base is the image that is derived from.
type Base struct {
	Reference string `yaml:"reference" json:"reference"`
	Digest    string `yaml:"digest,omitempty" json:"digest,omitempty"`
	// Manifest is the digest of the platform's manifest, where Digest is that of an index.
	Manifest string `yaml:"manifest,omitempty" json:"manifest,omitempty"`
	// Unresolved says why no digest is known. No node boots from such an image.
	Unresolved string `yaml:"unresolved,omitempty" json:"unresolved,omitempty"`
}

var (
	digestForm    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	nameForm      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	platformForm  = regexp.MustCompile(`^linux/(amd64|arm64)$`)
	toolchainForm = regexp.MustCompile(`^(go[0-9]+\.[0-9]+(\.[0-9]+)?[a-z0-9.-]*)?$`)
	referenceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*$`)
)

// Describe returns the OS lock's entry for an image that Derive made.
func Describe(name string, base Base, layer *Layer, derived v1.Image) (OSImage, error) {
	o := OSImage{Name: name, Platform: "linux/" + layer.Architecture(), Base: base, Layer: layer.DiffID(), Components: layer.Components(),
		Toolchain: layer.toolchain, Repositories: layer.policy.Scopes(), Accept: slices.Sorted(slices.Values(layer.policy.Accept))}
	if derived != nil {
		digest, err := derived.Digest()
		if err != nil {
			return OSImage{}, fmt.Errorf("OS lock: digest of %s: %w", name, err)
		}
		o.Derived = digest.String()
	}
	return o, o.validate()
}

// Validate checks every field.
func (l *Lock) Validate() error {
	if l.Schema != Schema {
		return fmt.Errorf("schema: %q is not %q", l.Schema, Schema)
	}
	if len(l.Images) == 0 {
		return errors.New("images: there is none")
	}
	var errs []error
	for i, o := range l.Images {
		if i > 0 && o.id() <= l.Images[i-1].id() {
			errs = append(errs, fmt.Errorf("images[%d].name: %s does not follow %s in the alphabet", i, o.id(), l.Images[i-1].id()))
		}
		if err := o.validate(); err != nil {
			errs = append(errs, fmt.Errorf("images[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// id is by what entries are sorted; no two have the same.
func (o OSImage) id() string { return o.Name + " " + o.Platform }

func (o OSImage) validate() error {
	var errs []error
	bad := func(field, format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, a...)))
	}
	if !nameForm.MatchString(o.Name) {
		bad("name", "%q is not made of lower case letters, digits and dashes", o.Name)
	}
	if !platformForm.MatchString(o.Platform) {
		bad("platform", "%q is neither linux/amd64 nor linux/arm64", o.Platform)
	}
	if !toolchainForm.MatchString(o.Toolchain) {
		bad("toolchain", "%q is no Go release", o.Toolchain)
	}
	for i, name := range o.Repositories {
		if !repositoryForm.MatchString(name) {
			bad("repositories", "[%d]: %q is no repository", i, name)
		}
	}
	for i, scope := range o.Accept {
		if !acceptForm.MatchString(scope) {
			bad("accept", "[%d]: %q is no scope", i, scope)
		}
	}
	if m := o.Base.Manifest; m != "" && (!digestForm.MatchString(m) || o.Base.Digest == "") {
		bad("base.manifest", "%q is no sha256 digest beside that of an index", m)
	}
	if !referenceForm.MatchString(o.Base.Reference) {
		bad("base.reference", "%q is no image reference", o.Base.Reference)
	}
	for field, digest := range map[string]string{"layer": o.Layer, "components": o.Components} {
		if !digestForm.MatchString(digest) {
			bad(field, "%q is no sha256 digest", digest)
		}
	}
	switch resolved := o.Base.Digest != ""; {
	case resolved && o.Base.Unresolved != "":
		bad("base", "it has a digest and is called unresolved")
	case resolved && (!digestForm.MatchString(o.Base.Digest) || !digestForm.MatchString(o.Derived)):
		bad("base.digest, derived", "%q and %q have to be sha256 digests", o.Base.Digest, o.Derived)
	case !resolved && o.Base.Unresolved == "":
		bad("base", "it has neither a digest nor a reason for being unresolved")
	case !resolved && o.Derived != "":
		bad("derived", "nothing can be derived from an unresolved base")
	}
	return errors.Join(errs...)
}
