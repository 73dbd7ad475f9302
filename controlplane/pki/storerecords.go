package pki

import (
	"context"
	"fmt"

	"slipway.build/slipway/controlplane/store"
)

// StoreRecords keeps records in the control plane's store.
type StoreRecords struct {
	store *store.Store
}

// NewStoreRecords returns the records in s.
func NewStoreRecords(s *store.Store) *StoreRecords { return &StoreRecords{store: s} }

// Record implements Records.
func (r *StoreRecords) Record(ctx context.Context, scope string, purpose Purpose) (Record, error) {
	row, err := r.store.Authority(ctx, scope, string(purpose))
	if store.IsNotFound(err) {
		return Record{}, fmt.Errorf("%w: %v", ErrNoRecord, err)
	}
	if err != nil {
		return Record{}, err
	}
	return Record{Scope: row.ClusterID, Purpose: Purpose(row.Purpose), Certificate: row.Certificate, SealedKey: row.SealedKey}, nil
}

// InsertRecord implements Records. A record of a cluster that is gone is an error: nobody would
// ever remove it.
func (r *StoreRecords) InsertRecord(ctx context.Context, record Record) error {
	return r.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if record.Scope != "" {
			if _, err := tx.Cluster(ctx, record.Scope); err != nil {
				return err
			}
		}
		switch _, err := tx.Authority(ctx, record.Scope, string(record.Purpose)); {
		case err == nil:
			return nil
		case !store.IsNotFound(err):
			return err
		}
		return tx.InsertAuthority(ctx, &store.Authority{
			ClusterID: record.Scope, Purpose: string(record.Purpose), Certificate: record.Certificate, SealedKey: record.SealedKey,
		})
	})
}
