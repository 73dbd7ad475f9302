package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/trust"
)

// Lock is a source of one root: a signed lock with its signature, the public keys to compare by their ids, and
// the OS lock where there is one, in the form in which trust.FindLock finds them.
type Lock struct {
	root    Root
	objects map[string][]byte
}

// NewLock packs a lock. keys and osLock may be nil.
func NewLock(number int64, text, signature, keys, osLock []byte) (*Lock, error) {
	return Pack(number, trust.Carried{Lock: text, Signature: signature, Keys: keys, OSLock: osLock})
}

// Pack packs a lock with what belongs to it; what is nil is left out.
func Pack(number int64, c trust.Carried) (*Lock, error) {
	l := &Lock{objects: map[string][]byte{}}
	var layers []v1.Descriptor
	for _, part := range []struct {
		media string
		data  []byte
	}{{trust.LockMedia, c.Lock}, {trust.SignatureMedia, c.Signature}, {trust.KeysMedia, c.Keys}, {trust.OSLockMedia, c.OSLock}, {trust.OSSignature, c.OSSignature}} {
		if part.data != nil {
			layers = append(layers, l.add(part.media, part.data))
		}
	}
	m := artifact(trust.LockArtifact, layers)
	l.add(string(m.Config.MediaType), []byte("{}"))
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("pack the lock: %w", err)
	}
	d := l.add(string(m.MediaType), data)
	d.ArtifactType = trust.LockArtifact
	l.root = Root{Descriptor: d, Repository: trust.LockRepository, Tag: strconv.FormatInt(number, 10)}
	return l, l.root.fill(func(o Object) ([]byte, error) { return l.objects[o.Digest], nil })
}

func (l *Lock) add(media string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: types.MediaType(media), Size: int64(len(data)), Digest: hash(data)}
	l.objects[d.Digest.String()] = data
	return d
}

// Roots returns the lock.
func (l *Lock) Roots(context.Context) ([]Root, error) { return []Root{l.root}, nil }

// Open opens one of its blobs.
func (l *Lock) Open(_ context.Context, _ string, o Object, _ bool) (io.ReadCloser, error) {
	data, ok := l.objects[o.Digest]
	if !ok {
		return nil, fmt.Errorf("the packed lock has no blob %s", o.Digest)
	}
	return io.NopCloser(strings.NewReader(string(data))), nil
}
