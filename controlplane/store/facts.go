package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Fact is a row of facts: something about a cluster that must be remembered once it was so,
// such as that its etcd has been bootstrapped.
type Fact struct {
	bun.BaseModel `bun:"table:facts"`

	Seq       int64     `bun:"seq,pk,autoincrement"`
	ClusterID string    `bun:"cluster_id"`
	Name      string    `bun:"name"`
	Value     string    `bun:"value"`
	CreatedAt time.Time `bun:"created_at"`
	UpdatedAt time.Time `bun:"updated_at"`
}

// SetFact writes a fact, over an earlier value.
func (tx *Tx) SetFact(ctx context.Context, cluster, name, value string) error {
	_, err := tx.exec(ctx, "set fact "+name,
		`INSERT INTO facts (cluster_id, name, value, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
		 ON CONFLICT (cluster_id, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
		cluster, name, value, tx.now, tx.now)
	return err
}

// SetFactOnce writes a fact unless it is there, and returns the value that holds.
func (tx *Tx) SetFactOnce(ctx context.Context, cluster, name, value string) (string, error) {
	if _, err := tx.exec(ctx, "set fact "+name,
		`INSERT INTO facts (cluster_id, name, value, created_at, updated_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (cluster_id, name) DO NOTHING`,
		cluster, name, value, tx.now, tx.now); err != nil {
		return "", err
	}
	return tx.Fact(ctx, cluster, name)
}

// Fact returns the value, or ErrNotFound.
func (r Reader) Fact(ctx context.Context, cluster, name string) (string, error) {
	var value string
	err := r.db.NewRaw(`SELECT value FROM facts WHERE cluster_id = ? AND name = ?`, cluster, name).Scan(ctx, &value)
	return value, notFound(err, "fact", name+" of cluster "+cluster)
}

// Facts returns all facts of the cluster.
func (r Reader) Facts(ctx context.Context, cluster string) (map[string]string, error) {
	var fs []Fact
	if err := r.db.NewSelect().Model(&fs).Where("cluster_id = ?", cluster).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read facts of cluster %s: %w", cluster, err)
	}
	out := make(map[string]string, len(fs))
	for _, f := range fs {
		out[f.Name] = f.Value
	}
	return out, nil
}
