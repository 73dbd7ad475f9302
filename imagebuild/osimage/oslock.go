package osimage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.yaml.in/yaml/v3"
)

// Schema is the only schema identifier of OS locks that this package accepts.
const Schema = "slipway.build/os/v1"

// Lock says what a node OS image consists of. It lies beside the image and not in it, because
// it holds the image's digest.
type Lock struct {
	Schema string    `yaml:"schema"`
	Images []OSImage `yaml:"images"`
}

// OSImage is one base with the layer on top.
type OSImage struct {
	Name string `yaml:"name"` // "fedora-coreos"
	Base Base   `yaml:"base"`
	// Layer is the diff ID of our layer.
	Layer string `yaml:"layer"`
	// Derived is the digest of the derived image's manifest; empty while the base is unresolved.
	Derived string `yaml:"derived,omitempty"`
	// Components is the digest of the components' lock that is baked in.
	Components string `yaml:"components"`
}

// Base is the image that is derived from.
type Base struct {
	Reference string `yaml:"reference"`
	Digest    string `yaml:"digest,omitempty"`
	// Unresolved says why no digest is known. No node boots from such an image.
	Unresolved string `yaml:"unresolved,omitempty"`
}

var (
	digestForm    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	nameForm      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	referenceForm = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._:/-]*$`)
)

// Describe returns the OS lock's entry for an image that Derive made.
func Describe(name string, base Base, layer *Layer, derived v1.Image) (OSImage, error) {
	o := OSImage{Name: name, Base: base, Layer: layer.DiffID(), Components: layer.Components()}
	if derived != nil {
		digest, err := derived.Digest()
		if err != nil {
			return OSImage{}, fmt.Errorf("OS lock: digest of %s: %w", name, err)
		}
		o.Derived = digest.String()
	}
	return o, o.validate()
}

// ParseLock reads an OS lock strictly: unknown, repeated and malformed fields are errors.
func ParseLock(file string, data []byte) (*Lock, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var l Lock
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", file)
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &l, nil
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
		if i > 0 && o.Name <= l.Images[i-1].Name {
			errs = append(errs, fmt.Errorf("images[%d].name: %q does not follow %q in the alphabet", i, o.Name, l.Images[i-1].Name))
		}
		if err := o.validate(); err != nil {
			errs = append(errs, fmt.Errorf("images[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (o OSImage) validate() error {
	var errs []error
	bad := func(field, format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, a...)))
	}
	if !nameForm.MatchString(o.Name) {
		bad("name", "%q is not made of lower case letters, digits and dashes", o.Name)
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

// YAML returns the lock's text.
func (l *Lock) YAML() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("OS lock: %w", err)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("OS lock: %w", err)
	}
	return out.Bytes(), enc.Close()
}
