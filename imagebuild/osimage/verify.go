package osimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/imagebuild/osimage/transport"
)

// VerifyOptions say what to hold against what.
type VerifyOptions struct {
	Image string // a layout, an archive or a reference into a registry; a digest picks the entry of the OS lock
	// Lock and Signature are the OS lock; Trusted the public keys (PEM) of which one has signed it.
	Lock, Signature, Trusted []byte
	Platform                 string // "linux/amd64" when empty
	// Contents are what this tree makes the layer of. Where the signature of the components' lock is
	// empty, the image's is taken, which counts only if it is right; a policy without repositories is
	// the OS lock's, with the keys in Trusted.
	Contents Contents
	Base     string // where the base is; empty: the base is not compared
	// Transport carries out requests to registries; nil is the default one.
	Transport http.RoundTripper
}

// Check is one comparison.
type Check struct {
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// Report is what Verify has found.
type Report struct {
	Image       OSImage      `json:"image"`
	Checks      []Check      `json:"checks"`
	Differences []Difference `json:"differences,omitempty"` // of the layer's files
}

// OK says whether everything is as it should be.
func (r *Report) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return len(r.Differences) == 0
}

func (r *Report) compare(what, want, got string) {
	r.Checks = append(r.Checks, Check{What: what, Want: want, Got: got, OK: want == got})
}

// Verify builds the layer again and compares: signature of the OS lock, digest of the image, diff ID of the layer, the
// base, and, where the layer is another one, its files. The error is of what keeps it from comparing.
func Verify(ctx context.Context, opts VerifyOptions) (*Report, error) {
	r, err := opts.verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify the node OS %s: %w", opts.Image, err)
	}
	return r, nil
}

func (o VerifyOptions) verify(ctx context.Context) (*Report, error) {
	l, key, err := VerifyLock("OS lock", o.Lock, o.Signature, o.Trusted)
	if err != nil {
		return nil, err
	}
	ref, err := transport.Parse(o.Image)
	if err != nil {
		return nil, err
	}
	r := &Report{Checks: []Check{{What: "OS lock is signed by", Want: key, Got: key, OK: true}}}
	if r.Image, err = o.entry(l, ref.Digest); err != nil {
		return nil, err
	}
	if ref.Digest == (v1.Hash{}) && ref.Kind != transport.Registry { // which has to say what its tag is
		if ref.Digest, err = v1.NewHash(r.Image.Derived); err != nil {
			return nil, err
		}
	}
	access := transport.Options{Architecture: strings.TrimPrefix(r.Image.Platform, "linux/"), Transport: o.Transport}
	image, err := transport.Open(ctx, ref, access)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	if err := o.compareImage(r, image); err != nil {
		return nil, err
	}
	layer, err := o.compareLayer(r, image)
	if err != nil {
		return nil, err
	}
	return r, o.compareBase(ctx, r, layer, access)
}

// entry picks the entry of a digest, or the only one for the platform.
func (o VerifyOptions) entry(l *Lock, digest v1.Hash) (OSImage, error) {
	platform := o.Platform
	if platform == "" {
		platform = "linux/amd64"
	}
	var found []OSImage
	for _, i := range l.Images {
		if digest != (v1.Hash{}) && i.Derived == digest.String() {
			return i, nil
		}
		if i.Platform == platform && i.Derived != "" {
			found = append(found, i)
		}
	}
	switch {
	case digest != v1.Hash{}:
		return OSImage{}, fmt.Errorf("the OS lock has no image %s", digest)
	case len(found) != 1:
		return OSImage{}, fmt.Errorf("the OS lock has %d images for %s; say which with @ and its digest", len(found), platform)
	}
	return found[0], nil
}

func (o VerifyOptions) compareImage(r *Report, image v1.Image) error {
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	r.compare("image", r.Image.Derived, digest.String())
	r.compare("platform", r.Image.Platform, config.OS+"/"+config.Architecture)
	last := "no layer"
	if n := len(config.RootFS.DiffIDs); n > 0 {
		last = config.RootFS.DiffIDs[n-1].String()
	}
	r.compare("our layer in the image", r.Image.Layer, last)
	return nil
}

// compareLayer makes the layer again.
func (o VerifyOptions) compareLayer(r *Report, image v1.Image) (*Layer, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) == 0 {
		return nil, errors.New("the image has no layer")
	}
	there, err := readMembers(layers[len(layers)-1].Uncompressed)
	if err != nil {
		return nil, fmt.Errorf("our layer in the image: %w", err)
	}
	c := o.Contents
	c.Architecture = strings.TrimPrefix(r.Image.Platform, "linux/")
	if len(c.LockSignature) == 0 {
		c.LockSignature = there[path.Join(plan.BakedLock, "images.yaml.sig")[1:]].small
	}
	if len(c.Policy.Repositories) == 0 {
		for _, name := range r.Image.Repositories {
			c.Policy.Repositories = append(c.Policy.Repositories, Repository{Name: name, Key: c.TrustKeys})
		}
		c.Policy.Accept = r.Image.Accept
	}
	layer, err := New(c)
	if err != nil {
		return nil, fmt.Errorf("make the layer again: %w", err)
	}
	r.compare("components' lock", r.Image.Components, layer.Components())
	if r.Image.Toolchain != "" {
		r.compare("toolchain", r.Image.Toolchain, layer.toolchain)
	}
	r.compare("our layer made again", r.Image.Layer, layer.DiffID())
	here, err := readMembers(func() (io.ReadCloser, error) { return layer.open(), nil })
	if err != nil {
		return nil, fmt.Errorf("make the layer again: %w", err)
	}
	r.Differences = differences(there, here)
	return layer, nil
}

func readMembers(open func() (io.ReadCloser, error)) (map[string]member, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return members(r)
}

// open streams the layer's tar; closing it early ends the writer.
func (l *Layer) open() io.ReadCloser {
	r, w := io.Pipe()
	go func() { // ends with the tar, or when the reader is closed
		_, err := l.WriteTo(w)
		w.CloseWithError(err)
	}()
	return r
}

// compareBase derives again from the base.
func (o VerifyOptions) compareBase(ctx context.Context, r *Report, layer *Layer, access transport.Options) error {
	if o.Base == "" {
		return nil
	}
	ref, err := transport.Parse(o.Base)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	locked, err := v1.NewHash(r.Image.Base.Digest)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	if ref.Digest != (v1.Hash{}) {
		r.compare("base", locked.String(), ref.Digest.String())
	} else if ref, err = transport.Parse(o.Base + "@" + locked.String()); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	base, err := transport.Open(ctx, ref, access)
	if err != nil {
		return fmt.Errorf("base: %w", err)
	}
	defer base.Close()
	derived, err := Derive(base, layer)
	if err != nil {
		return err
	}
	digest, err := derived.Digest()
	if err != nil {
		return err
	}
	r.compare("image derived again", r.Image.Derived, digest.String())
	return nil
}
