package osimage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/osimage/lint"
	"slipway.build/slipway/imagebuild/osimage/transport"
	"slipway.build/slipway/imagebuild/sign"
)

// BuildOptions say what to derive from what.
type BuildOptions struct {
	// Base is a layout, an archive or a reference into a registry, with @ and its digest behind.
	Base string
	// Out is a layout's directory or a reference into a registry.
	Out string
	// Repository is where nodes take the image from, and Tag its tag there. They name the image in a
	// layout; for an Out in a registry they are that one's.
	Repository, Tag string
	Name            string // of the image in the OS lock; empty: fedora-coreos
	Contents        Contents
	Key             *sign.Key // signs the OS lock and the image
	// Transport carries out requests to registries; nil is the default one.
	Transport http.RoundTripper
	// Progress, when set, is told of each step before it begins; not concurrently.
	Progress func(step string)
}

// Built is a derived OS image.
type Built struct {
	Image     OSImage       // its entry in the OS lock
	Layers    int           // of the image, with ours
	LayerSize int64         // compressed bytes of ours
	Took      time.Duration // from the opened base to the written image
	Lock      []byte        // the OS lock
	Signature []byte        // the OS lock's, detached
}

// Build derives an OS image and writes it with its OS lock and signatures. Nothing is written unless the base is
// what its digest says, the layer has no finding of Lint's that would break a node, and everything fits together.
func Build(ctx context.Context, opts BuildOptions) (*Built, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.Name == "" {
		opts.Name = "fedora-coreos"
	}
	if opts.Key == nil {
		return nil, errors.New("build the node OS: there is no key to sign with")
	}
	base, out, err := opts.references()
	if err != nil {
		return nil, fmt.Errorf("build the node OS: %w", err)
	}
	if out.Kind == transport.Registry {
		opts.Repository = out.Remote.Context().Name()
	}
	if !repositoryForm.MatchString(opts.Repository) || !strings.Contains(opts.Repository, "/") {
		return nil, fmt.Errorf("build the node OS: %q is no repository that nodes could take the image from: want registry/path", opts.Repository)
	}
	opts.Progress("layer")
	layer, err := New(opts.Contents)
	if err != nil {
		return nil, fmt.Errorf("build the node OS: %w", err)
	}
	if err := check(layer); err != nil {
		return nil, fmt.Errorf("build the node OS: %w", err)
	}
	b, err := opts.derive(ctx, base, out, layer)
	if err != nil {
		return nil, fmt.Errorf("build the node OS: %w", err)
	}
	return b, nil
}

// check refuses a layer that would break a node.
func check(layer *Layer) error {
	r := layer.open()
	defer r.Close()
	s, err := lint.FromTar(r)
	if err != nil {
		return fmt.Errorf("OS layer: %w", err)
	}
	var errs []error
	for _, f := range lint.Errors(lint.Run(s)) {
		errs = append(errs, fmt.Errorf("OS layer: %s: /%s: %s; %s", f.Rule, f.Path, f.Happens, f.Do))
	}
	return errors.Join(errs...)
}

func (o BuildOptions) references() (base, out transport.Reference, err error) {
	if base, err = transport.Parse(o.Base); err != nil {
		return base, out, fmt.Errorf("base: %w", err)
	}
	if base.Digest == (v1.Hash{}) {
		return base, out, fmt.Errorf("base: %s is not pinned: write @ and its sha256 digest behind it", o.Base)
	}
	if out, err = transport.Parse(o.Out); err != nil {
		return base, out, fmt.Errorf("output: %w", err)
	}
	switch {
	case out.Kind == transport.Archive:
		return base, out, fmt.Errorf("output: %s is a file; an image is written to a layout's directory or a registry", o.Out)
	case out.Digest != v1.Hash{}:
		return base, out, fmt.Errorf("output: %s: the digest is what comes out; name a tag", o.Out)
	}
	return base, out, nil
}

func (o BuildOptions) derive(ctx context.Context, from, to transport.Reference, layer *Layer) (*Built, error) {
	start := time.Now()
	access := transport.Options{Architecture: layer.arch, Transport: o.Transport}
	o.Progress("base")
	base, err := transport.Open(ctx, from, access)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	defer base.Close()
	o.Progress("derive")
	image, err := Derive(base, layer)
	if err != nil {
		return nil, err
	}
	described := Base{Reference: from.Location(), Digest: from.Digest.String()}
	digest, err := base.Digest()
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	if digest != from.Digest {
		described.Manifest = digest.String()
	}
	b := &Built{}
	if b.Image, err = Describe(o.Name, described, layer, image); err != nil {
		return nil, err
	}
	if err := b.measure(image); err != nil {
		return nil, err
	}
	if err := b.seal(to, o.Key); err != nil {
		return nil, err
	}
	o.Progress("write")
	err = transport.Write(ctx, to, transport.Output{
		Image: image, Base: base, Name: o.indexName(),
		Files:  map[string][]byte{LockFile: b.Lock, LockSignature: b.Signature},
		Attach: o.attach(to, b.Image.Derived, access),
	}, access)
	b.Took = time.Since(start)
	return b, err
}

func (b *Built) measure(image v1.Image) error {
	m, err := image.Manifest()
	if err != nil {
		return err
	}
	b.Layers, b.LayerSize = len(m.Layers), m.Layers[len(m.Layers)-1].Size
	return nil
}
