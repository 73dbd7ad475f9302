package trust

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
)

// LockArtifact is the artifact type of a signed lock that travels with its images, and the
// media types of what is in it. They are Slipway's own.
const (
	LockArtifact   = "application/vnd.slipway.lock.v2"
	LockMedia      = "application/vnd.slipway.lock.v2+yaml"
	SignatureMedia = "application/vnd.slipway.lock.signature.v1"
	KeysMedia      = "application/x-pem-file"
	OSLockMedia    = "application/vnd.slipway.os-lock.v1+yaml"
	OSSignature    = "application/vnd.slipway.os-lock.signature.v1"
)

// LockRepository is the repository that a carried lock goes by; its tags are lock numbers.
const LockRepository = "slipway/lock"

// Carried is a signed lock as it was found in a layout. None of it is believed: its keys have come with it.
type Carried struct {
	Lock, Signature, Keys []byte
	OSLock, OSSignature   []byte // of the OS images beside it; nil for none
	Digest                string // of the artifact's manifest
}

// FindLock returns the signed lock that a layout carries; nil when it carries none, and an error when it carries
// several.
func FindLock(l *layout.Layout) (*Carried, error) {
	index, err := l.Index()
	if err != nil {
		return nil, err
	}
	var found *Carried
	for _, d := range index.Manifests {
		if d.ArtifactType != LockArtifact {
			continue
		}
		if found != nil {
			return nil, fault.Terminalf("%s carries more than one lock; give the lock that counts", l.Path())
		}
		manifest, err := l.ReadBlob(d.Digest.String())
		if err == nil {
			found, err = ReadCarried(manifest, func(d v1.Descriptor) ([]byte, error) { return l.ReadBlob(d.Digest.String()) })
		}
		if err != nil {
			return nil, fmt.Errorf("the lock that %s carries: %w", l.Path(), err)
		}
	}
	return found, nil
}

// ReadCarried reads the artifact of a signed lock from its manifest; blob reads a part and compares its digest.
func ReadCarried(manifest []byte, blob func(v1.Descriptor) ([]byte, error)) (*Carried, error) {
	c := &Carried{Digest: layout.Digest(manifest)}
	m, err := v1.ParseManifest(bytes.NewReader(manifest))
	if err != nil {
		return nil, fault.Terminalf("manifest %s: %w", c.Digest, err)
	}
	for _, layer := range m.Layers {
		to := map[string]*[]byte{LockMedia: &c.Lock, SignatureMedia: &c.Signature, KeysMedia: &c.Keys, OSLockMedia: &c.OSLock, OSSignature: &c.OSSignature}[string(layer.MediaType)]
		if to == nil || *to != nil {
			return nil, fault.Terminalf("manifest %s: layer of type %q, once too often or unknown", c.Digest, layer.MediaType)
		}
		if *to, err = blob(layer); err != nil {
			return nil, err
		}
	}
	if c.Lock == nil || c.Signature == nil {
		return nil, fault.Terminalf("manifest %s: a lock and its signature are not both there", c.Digest)
	}
	return c, nil
}
