package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Authority is a row of authorities: one version of a cluster's CA for one purpose.
type Authority struct {
	bun.BaseModel `bun:"table:authorities"`

	Seq         int64     `bun:"seq,pk,autoincrement"`
	ClusterID   string    `bun:"cluster_id"`
	Purpose     string    `bun:"purpose"` // kubernetes, etcd or front-proxy
	Version     int       `bun:"version"` // from 1; a rotation adds one
	Certificate string    `bun:"certificate"`
	SealedKey   []byte    `bun:"sealed_key"` // Sealer.Seal of the PKCS #8 key
	CreatedAt   time.Time `bun:"created_at"`
}

// InsertAuthority adds an authority. Version is 1 when zero.
func (tx *Tx) InsertAuthority(ctx context.Context, a *Authority) error {
	if a.Version == 0 {
		a.Version = 1
	}
	a.CreatedAt = tx.now
	return tx.insert(ctx, "authority "+a.Purpose, a)
}

// DeleteAuthorityVersion removes one version of an authority; one that is gone is no error.
func (tx *Tx) DeleteAuthorityVersion(ctx context.Context, cluster, purpose string, version int) error {
	_, err := tx.exec(ctx, "delete authority "+purpose, `DELETE FROM authorities WHERE cluster_id = ? AND purpose = ? AND version = ?`, cluster, purpose, version)
	return err
}

// DeleteAuthority removes all versions of an authority; one that is gone is no error.
func (tx *Tx) DeleteAuthority(ctx context.Context, cluster, purpose string) error {
	_, err := tx.exec(ctx, "delete authority "+purpose, `DELETE FROM authorities WHERE cluster_id = ? AND purpose = ?`, cluster, purpose)
	return err
}

// Authority returns the newest version of the cluster's authority, or ErrNotFound.
func (r Reader) Authority(ctx context.Context, cluster, purpose string) (*Authority, error) {
	a := new(Authority)
	err := r.db.NewSelect().Model(a).Where("cluster_id = ?", cluster).Where("purpose = ?", purpose).OrderExpr("version DESC").Limit(1).Scan(ctx)
	return a, notFound(err, "authority", purpose+" of cluster "+cluster)
}

// Authorities lists all versions of the cluster's authorities.
func (r Reader) Authorities(ctx context.Context, cluster string) ([]Authority, error) {
	var as []Authority
	if err := r.db.NewSelect().Model(&as).Where("cluster_id = ?", cluster).OrderExpr("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list authorities of cluster %s: %w", cluster, err)
	}
	return as, nil
}
