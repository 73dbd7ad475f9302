package osimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/osimage/transport"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sign"
)

// seal writes the OS lock's text and signs it. In a layout that has images already, their entries stay;
// a lock that is there and was not signed by the same key is refused rather than signed along.
func (b *Built) seal(to transport.Reference, key *sign.Key) error {
	l := &Lock{Schema: Schema}
	var old []byte
	if to.Kind == transport.Layout {
		var err error
		if l, old, err = present(to.Path, key); err != nil {
			return err
		}
	}
	l.Images = slices.DeleteFunc(l.Images, func(o OSImage) bool { return o.id() == b.Image.id() })
	l.Images = append(l.Images, b.Image)
	slices.SortFunc(l.Images, func(a, b OSImage) int { return strings.Compare(a.id(), b.id()) })
	var err error
	if b.Lock, err = l.YAML(); err != nil {
		return err
	}
	if b.Signature, err = key.SignBytes(b.Lock); err != nil {
		return err
	}
	// The signature of before stays as a second line: it is replaced first, and the lock may not be.
	before, _, _ := bytes.Cut(old, []byte("\n"))
	if line := append(before, '\n'); len(before) > 0 && !bytes.Equal(line, b.Signature) {
		b.Signature = append(b.Signature, line...)
	}
	return nil
}

func present(dir string, key *sign.Key) (l *Lock, signature []byte, err error) {
	file := filepath.Join(dir, LockFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{Schema: Schema}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if signature, err = os.ReadFile(filepath.Join(dir, LockSignature)); err != nil {
		return nil, nil, err
	}
	public, err := key.PublicPEM()
	if err != nil {
		return nil, nil, err
	}
	if l, _, err = VerifyLock(file, text, signature, public); err != nil {
		return nil, nil, fmt.Errorf("the layout has an OS lock that this key has not signed: %w", err)
	}
	return l, signature, nil
}

// inLayout is the repository's name without its registry, as a layout's index has it.
func (o BuildOptions) inLayout() string {
	_, path, _ := strings.Cut(o.Repository, "/")
	return path
}

// indexName is how the layout's index names the image: as imagebuild/registry serves it.
func (o BuildOptions) indexName() string {
	tag := o.Tag
	if tag == "" {
		tag = "latest"
	}
	return o.inLayout() + ":" + tag
}

// attach signs the image where nodes look for a signature and where others do: at the legacy tag, and as a bundle
// that refers to it.
func (o BuildOptions) attach(to transport.Reference, digest string, access transport.Options) func(context.Context, string) error {
	return func(ctx context.Context, dir string) error {
		var r referrer.Repository = referrer.OpenLayout(dir, o.inLayout())
		if dir == "" {
			r = referrer.OpenRegistry(to.Remote.Context(), access.Transport, access.Remote(ctx)...)
		}
		_, err := o.Key.Image(ctx, r, o.Repository, digest)
		return err
	}
}
