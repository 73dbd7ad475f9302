package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/transport"
	"slipway.build/slipway/imagebuild/trust"
)

// Carried returns the signed lock of a subject as it travels, after it was verified, with the keys to compare and
// the OS lock of an OS layout where one is given. carried is the lock that its images came with, or nil.
func Carried(p Paths, s Subject, carried *trust.Carried, osLayout string) (*trust.Signed, *bundle.Lock, error) {
	signed, err := signedLock(p, s, carried)
	if err != nil {
		return nil, nil, err
	}
	c := trust.Carried{}
	if c.Lock, c.Signature, _, err = lockText(p, s, carried); err != nil {
		return nil, nil, err
	}
	trusted, err := keysText(p, s, carried)
	if err != nil {
		return nil, nil, err
	}
	c.Keys = trusted
	if carried != nil && s.Lock == "" {
		c.OSLock, c.OSSignature, c.Keys = carried.OSLock, carried.OSSignature, carried.Keys
	}
	if osLayout != "" {
		if c.OSLock, c.OSSignature, err = ownOSLock(osLayout, trusted); err != nil {
			return nil, nil, err
		}
	}
	packed, err := bundle.Pack(signed.Number, c)
	return signed, packed, err
}

// FromRegistry returns the images of a subject's lock in a registry. A lock that the registry is asked for by its number
// must have that number; the node OS that was published beside it does not come along.
func FromRegistry(ctx context.Context, p Paths, s Subject, r *remote.Registry, selection bundle.Selection) (bundle.Source, error) {
	var carried *trust.Carried
	if s.Number != 0 {
		var err error
		if carried, err = bundle.FindLock(ctx, r, s.Number); err != nil {
			return nil, err
		}
		carried.OSLock, carried.OSSignature = nil, nil
	}
	signed, packed, err := Carried(p, s, carried, "")
	if err != nil {
		return nil, err
	}
	if s.Number != 0 && signed.Number != s.Number {
		return nil, fmt.Errorf("%s has lock %d under the number %d; do not use this registry", r, signed.Number, s.Number)
	}
	return bundle.Join(bundle.FromRegistry{Registry: r, Lock: signed.Lock, Selection: selection}, packed), nil
}

// ownOSLock reads the OS lock of an OS layout, which one of the trusted keys must have signed: what a site without a
// network would refuse is not sent there.
func ownOSLock(osLayout string, trusted []byte) (text, signature []byte, err error) {
	if text, err = os.ReadFile(filepath.Join(osLayout, osimage.LockFile)); err != nil {
		return nil, nil, fmt.Errorf("the OS lock of %s: %w", osLayout, err)
	}
	if signature, err = os.ReadFile(filepath.Join(osLayout, osimage.LockSignature)); err != nil {
		return nil, nil, fmt.Errorf("the OS lock's signature: %w", err)
	}
	_, _, err = osimage.VerifyLock("the OS lock of "+osLayout, text, signature, trusted)
	return text, signature, err
}

// CarriedOS returns the OS images of a layout's carried OS lock, or of an OS layout's own one, whose signature one of the
// keys has made; none when there is no such lock.
func CarriedOS(p Paths, s Subject, content *layout.Layout) ([]trust.OS, error) {
	var text, signature []byte
	carried, err := trust.FindLock(content)
	if err == nil && carried != nil {
		text, signature = carried.OSLock, carried.OSSignature
	}
	if text == nil && content.Kind() == "directory" {
		if text, err = os.ReadFile(filepath.Join(content.Path(), osimage.LockFile)); err == nil {
			signature, err = os.ReadFile(filepath.Join(content.Path(), osimage.LockSignature))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if text == nil {
		return nil, nil
	}
	keys, err := keysText(p, s, carried)
	if err != nil {
		return nil, err
	}
	l, key, err := osimage.VerifyLock("the OS lock", text, signature, keys)
	if err != nil {
		return nil, err
	}
	var all []trust.OS
	for _, o := range l.Images {
		all = append(all, trust.OS{Name: o.Name, Platform: o.Platform, Reference: o.Base.Reference, Base: o.Base.Digest,
			Unresolved: o.Base.Unresolved, Derived: o.Derived, Layer: o.Layer, Components: o.Components, Key: key})
	}
	return all, nil
}

// Place is where images are taken from or brought to: a layout, an archive or a registry.
type Place struct {
	Path     string // of a layout or an archive; empty for a registry
	Registry *remote.Registry
}

// ParsePlace understands a path, with oci: or oci-archive: in front or without; and a registry with its path, with docker://, http:// or https:// in
// front, or "host:port" and "host.domain/…" where nothing on this machine has that name.
func ParsePlace(text string) (Place, error) {
	for _, scheme := range []string{"oci-archive:", "oci:"} {
		if path, ok := strings.CutPrefix(text, scheme); ok {
			return Place{Path: path}, nil
		}
	}
	location, remoteOnly := strings.CutPrefix(text, "docker://")
	remoteOnly = remoteOnly || strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
	if !remoteOnly {
		_, err := os.Stat(text)
		bare := strings.Contains(text, ":") && !strings.Contains(text, "/")
		if err == nil || !bare && !transport.HasHost(text) {
			return Place{Path: text}, nil
		}
	}
	r, err := remote.New(location)
	return Place{Registry: r}, err
}
