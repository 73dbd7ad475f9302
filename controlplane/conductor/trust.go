package conductor

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/imagebuild/lock"
)

// Trust is what every node is told to run from: the signed lock and where the images are.
type Trust struct {
	Locked     *lock.Lock
	Canonical  []byte // what is signed
	Signature  []byte
	Digest     string   // of Canonical
	Registries []string // base URLs in the order in which they are tried
	// Statements are those of lock keys, the oldest first.
	Statements []protocol.Signed
}

// Keys returns the statements of lock keys, for the node API.
func (t Trust) Keys() []protocol.Signed { return t.Statements }

// Lock finds the signed lock by its digest, for the node API. There is one at a time.
func (t Trust) Lock(_ context.Context, digest string) (canonical, signature []byte, err error) {
	if digest != t.Digest {
		return nil, nil, fmt.Errorf("signed lock %s: %w", digest, store.ErrNotFound)
	}
	return t.Canonical, t.Signature, nil
}
