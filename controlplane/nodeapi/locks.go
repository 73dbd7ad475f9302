package nodeapi

import (
	"context"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// Locks finds signed locks by the digest of their canonical bytes, and all statements of lock keys
// there have been, the oldest first.
type Locks interface {
	Keys() []protocol.Signed
	// Lock's error is store.ErrNotFound for a lock that was never kept.
	Lock(ctx context.Context, digest string) (canonical, signature []byte, err error)
}

// StoreLocks reads locks from the store: plans name the lock that was there when they were made,
// which need not be the newest.
type StoreLocks struct {
	Store      *store.Store
	Statements func() []protocol.Signed
}

// Keys implements Locks.
func (l StoreLocks) Keys() []protocol.Signed { return l.Statements() }

// Lock implements Locks.
func (l StoreLocks) Lock(ctx context.Context, digest string) (canonical, signature []byte, err error) {
	row, err := l.Store.Lock(ctx, digest)
	if err != nil {
		return nil, nil, err
	}
	return row.Canonical, row.Signature, nil
}
