package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Cluster is a row of clusters: what Magnum's detail of a cluster shows, except for the counts
// and addresses of nodes, which are the nodegroups'. Pointers are what may be unset (null).
type Cluster struct {
	bun.BaseModel `bun:"table:clusters"`

	ID                 int64             `bun:"id,pk,autoincrement"`
	UUID               string            `bun:"uuid"`
	ProjectID          string            `bun:"project_id"`
	UserID             string            `bun:"user_id"`
	Name               string            `bun:"name"`
	ClusterTemplateID  string            `bun:"cluster_template_id"`
	Keypair            *string           `bun:"keypair"`
	DockerVolumeSize   *int              `bun:"docker_volume_size"` // GB
	Labels             map[string]string `bun:"labels,type:text"`
	MergeLabels        bool              `bun:"merge_labels"`
	MasterFlavorID     *string           `bun:"master_flavor_id"`
	FlavorID           *string           `bun:"flavor_id"`
	CreateTimeout      int               `bun:"create_timeout"` // minutes
	DiscoveryURL       *string           `bun:"discovery_url"`
	FixedNetwork       *string           `bun:"fixed_network"`
	FixedSubnet        *string           `bun:"fixed_subnet"`
	FloatingIPEnabled  bool              `bun:"floating_ip_enabled"`
	MasterLBEnabled    bool              `bun:"master_lb_enabled"`
	StackID            *string           `bun:"stack_id"`
	APIAddress         *string           `bun:"api_address"`
	COEVersion         *string           `bun:"coe_version"`
	ContainerVersion   *string           `bun:"container_version"`
	Status             string            `bun:"status"`
	StatusReason       *string           `bun:"status_reason"`
	HealthStatus       *string           `bun:"health_status"`
	HealthStatusReason map[string]string `bun:"health_status_reason,type:text"`
	CreatedAt          time.Time         `bun:"created_at"`
	UpdatedAt          *time.Time        `bun:"updated_at"`
}

// InsertCluster adds a cluster. UUID is made when empty; CreatedAt is the transaction's time.
func (tx *Tx) InsertCluster(ctx context.Context, c *Cluster) error {
	if c.UUID == "" {
		c.UUID = NewID()
	}
	c.CreatedAt = tx.now
	c.Labels, c.HealthStatusReason = orEmpty(c.Labels), orEmpty(c.HealthStatusReason)
	return tx.insert(ctx, "cluster "+c.Name, c)
}

// UpdateCluster writes all of c but its keys and times, and sets UpdatedAt.
func (tx *Tx) UpdateCluster(ctx context.Context, c *Cluster) error {
	now := tx.now
	c.UpdatedAt = &now
	c.Labels, c.HealthStatusReason = orEmpty(c.Labels), orEmpty(c.HealthStatusReason)
	return tx.updateModel(ctx, "cluster "+c.UUID, c, []string{"id", "uuid", "created_at"}, "uuid = ?", c.UUID)
}

// SetClusterStatus writes the status and its reason (no reason when empty).
func (tx *Tx) SetClusterStatus(ctx context.Context, cluster, status, reason string) error {
	n, err := tx.exec(ctx, "set status of cluster "+cluster,
		`UPDATE clusters SET status = ?, status_reason = ?, updated_at = ? WHERE uuid = ?`, status, null(reason), tx.now, cluster)
	return updated(n, err, "cluster "+cluster)
}

// DeleteCluster removes the cluster's row, its nodegroups, nodes with their plans, signals,
// conditions and actions, authorities, secrets and facts. Stacks and events stay: they are the history.
func (tx *Tx) DeleteCluster(ctx context.Context, cluster string) error {
	for _, q := range []string{
		`DELETE FROM signals WHERE node_id IN (SELECT id FROM nodes WHERE cluster_id = ?)`,
		`DELETE FROM plans WHERE node_id IN (SELECT id FROM nodes WHERE cluster_id = ?)`,
		`DELETE FROM node_conditions WHERE node_id IN (SELECT id FROM nodes WHERE cluster_id = ?)`,
		`DELETE FROM actions WHERE cluster_id = ?`,
		`DELETE FROM nodes WHERE cluster_id = ?`,
		`DELETE FROM authorities WHERE cluster_id = ?`,
		`DELETE FROM secrets WHERE cluster_id = ?`,
		`DELETE FROM facts WHERE cluster_id = ?`,
		`DELETE FROM nodegroups WHERE cluster_id = ?`,
		`DELETE FROM clusters WHERE uuid = ?`,
	} {
		if _, err := tx.exec(ctx, "delete cluster "+cluster, q, cluster); err != nil {
			return err
		}
	}
	return nil
}

// Cluster returns the cluster with that UUID, or ErrNotFound.
func (r Reader) Cluster(ctx context.Context, uuid string) (*Cluster, error) {
	c := new(Cluster)
	err := r.db.NewSelect().Model(c).Where("uuid = ?", uuid).Scan(ctx)
	return c, notFound(err, "cluster", uuid)
}

// FindClusters returns the project's clusters whose UUID or name is ident; every project's
// when project is empty. A name may match several.
func (r Reader) FindClusters(ctx context.Context, project, ident string) ([]Cluster, error) {
	var cs []Cluster
	q := r.db.NewSelect().Model(&cs).Where("uuid = ? OR name = ?", ident, ident).OrderExpr("id")
	if project != "" {
		q = q.Where("project_id = ?", project)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("find cluster %s: %w", ident, err)
	}
	return cs, nil
}

// Clusters lists the project's clusters; every project's when project is empty.
func (r Reader) Clusters(ctx context.Context, project string, p Page) ([]Cluster, error) {
	var cs []Cluster
	q := r.db.NewSelect().Model(&cs)
	if project != "" {
		q = q.Where("project_id = ?", project)
	}
	q, err := p.apply(q, "clusters", "uuid", "id", "uuid", "name", "status", "cluster_template_id", "keypair", "created_at", "updated_at", "health_status", "stack_id")
	if err != nil {
		return nil, err
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	return cs, nil
}

// CountClusters counts the project's clusters, or those of a template when template is set.
func (r Reader) CountClusters(ctx context.Context, project, template string) (int, error) {
	q := r.db.NewSelect().Model((*Cluster)(nil))
	if project != "" {
		q = q.Where("project_id = ?", project)
	}
	if template != "" {
		q = q.Where("cluster_template_id = ?", template)
	}
	n, err := q.Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count clusters: %w", err)
	}
	return int(n), nil
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// null is nil for the empty string, which the database keeps as NULL.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
