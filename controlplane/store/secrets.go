package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Secret is a row of secrets. Its value never leaves the store in the clear but through Sealer.
type Secret struct {
	bun.BaseModel `bun:"table:secrets"`

	Seq       int64     `bun:"seq,pk,autoincrement"`
	ClusterID string    `bun:"cluster_id"`
	Name      string    `bun:"name"`
	Version   string    `bun:"version"`
	Sealed    []byte    `bun:"sealed"`
	CreatedAt time.Time `bun:"created_at"`
}

// InsertSecret adds a secret and reports whether it was new; one that is there stays as it is.
func (tx *Tx) InsertSecret(ctx context.Context, s *Secret) (bool, error) {
	s.CreatedAt = tx.now
	res, err := tx.db.NewInsert().Model(s).On("CONFLICT (cluster_id, name, version) DO NOTHING").Returning("NULL").Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("insert secret %s: %w", s.Name, err)
	}
	return affected(res) == 1, nil
}

// Secret returns that version of the cluster's secret, or ErrNotFound.
func (r Reader) Secret(ctx context.Context, cluster, name, version string) (*Secret, error) {
	s := new(Secret)
	err := r.db.NewSelect().Model(s).Where("cluster_id = ?", cluster).Where("name = ?", name).Where("version = ?", version).Scan(ctx)
	return s, notFound(err, "secret", name+"@"+version)
}

// Secrets lists the cluster's secrets in the order in which they were made.
func (r Reader) Secrets(ctx context.Context, cluster string) ([]Secret, error) {
	var ss []Secret
	if err := r.db.NewSelect().Model(&ss).Where("cluster_id = ?", cluster).OrderExpr("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list secrets of cluster %s: %w", cluster, err)
	}
	return ss, nil
}
