package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// The roles of nodegroups and nodes.
const (
	RoleMaster = "master"
	RoleWorker = "worker"
)

// The names of the two nodegroups that every cluster has.
const (
	DefaultMaster = "default-master"
	DefaultWorker = "default-worker"
)

// Nodegroup is a row of nodegroups, as Magnum shows it.
type Nodegroup struct {
	bun.BaseModel `bun:"table:nodegroups"`

	ID               int64             `bun:"id,pk,autoincrement"`
	UUID             string            `bun:"uuid"`
	ClusterID        string            `bun:"cluster_id"`
	ProjectID        string            `bun:"project_id"`
	Name             string            `bun:"name"`
	DockerVolumeSize *int              `bun:"docker_volume_size"` // GB
	Labels           map[string]string `bun:"labels,type:text"`
	MergeLabels      bool              `bun:"merge_labels"`
	FlavorID         *string           `bun:"flavor_id"`
	ImageID          *string           `bun:"image_id"`
	NodeAddresses    []string          `bun:"node_addresses,type:text"`
	NodeCount        int               `bun:"node_count"`
	Role             string            `bun:"role"`
	MinNodeCount     int               `bun:"min_node_count"`
	MaxNodeCount     *int              `bun:"max_node_count"`
	IsDefault        bool              `bun:"is_default"`
	StackID          *string           `bun:"stack_id"`
	Status           string            `bun:"status"`
	StatusReason     *string           `bun:"status_reason"`
	Version          *string           `bun:"version"`
	NodeLabels       map[string]string `bun:"node_labels,type:text"`
	NodeTaints       []Taint           `bun:"node_taints,type:text"`
	CreatedAt        time.Time         `bun:"created_at"`
	UpdatedAt        *time.Time        `bun:"updated_at"`
}

// Taint is a taint of a nodegroup's nodes.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

func (n *Nodegroup) complete() {
	n.Labels, n.NodeLabels = orEmpty(n.Labels), orEmpty(n.NodeLabels)
	if n.NodeAddresses == nil {
		n.NodeAddresses = []string{}
	}
	if n.NodeTaints == nil {
		n.NodeTaints = []Taint{}
	}
}

// InsertNodegroup adds a nodegroup. UUID is made when empty.
func (tx *Tx) InsertNodegroup(ctx context.Context, n *Nodegroup) error {
	if n.UUID == "" {
		n.UUID = NewID()
	}
	n.CreatedAt = tx.now
	n.complete()
	return tx.insert(ctx, "nodegroup "+n.Name, n)
}

// UpdateNodegroup writes all of n but its keys and times, and sets UpdatedAt.
func (tx *Tx) UpdateNodegroup(ctx context.Context, n *Nodegroup) error {
	now := tx.now
	n.UpdatedAt = &now
	n.complete()
	return tx.updateModel(ctx, "nodegroup "+n.UUID, n, []string{"id", "uuid", "cluster_id", "created_at"}, "uuid = ?", n.UUID)
}

// SetNodegroupsStatus writes status and reason to all nodegroups of the cluster.
func (tx *Tx) SetNodegroupsStatus(ctx context.Context, cluster, status, reason string) error {
	_, err := tx.exec(ctx, "set status of the nodegroups of cluster "+cluster,
		`UPDATE nodegroups SET status = ?, status_reason = ?, updated_at = ? WHERE cluster_id = ?`, status, null(reason), tx.now, cluster)
	return err
}

// DeleteNodegroup removes the row.
func (tx *Tx) DeleteNodegroup(ctx context.Context, uuid string) error {
	n, err := tx.exec(ctx, "delete nodegroup "+uuid, `DELETE FROM nodegroups WHERE uuid = ?`, uuid)
	return updated(n, err, "nodegroup "+uuid)
}

// Nodegroups lists the cluster's nodegroups of the role; of any when role is empty.
func (r Reader) Nodegroups(ctx context.Context, cluster, role string, p Page) ([]Nodegroup, error) {
	var ns []Nodegroup
	q := r.db.NewSelect().Model(&ns).Where("cluster_id = ?", cluster)
	if role != "" {
		q = q.Where("role = ?", role)
	}
	q, err := p.apply(q, "nodegroups", "uuid", "id", "uuid", "name", "status", "role", "node_count", "created_at", "updated_at")
	if err != nil {
		return nil, err
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list nodegroups of cluster %s: %w", cluster, err)
	}
	return ns, nil
}

// NodegroupsOf returns the nodegroups of several clusters, by cluster, in creation order.
func (r Reader) NodegroupsOf(ctx context.Context, clusters []string) (map[string][]Nodegroup, error) {
	out := make(map[string][]Nodegroup, len(clusters))
	if len(clusters) == 0 {
		return out, nil
	}
	var ns []Nodegroup
	if err := r.db.NewSelect().Model(&ns).Where("cluster_id IN (?)", bun.List(clusters)).OrderExpr("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list nodegroups: %w", err)
	}
	for _, n := range ns {
		out[n.ClusterID] = append(out[n.ClusterID], n)
	}
	return out, nil
}

// Nodegroup returns the cluster's nodegroup whose UUID or name is ident, or ErrNotFound.
func (r Reader) Nodegroup(ctx context.Context, cluster, ident string) (*Nodegroup, error) {
	n := new(Nodegroup)
	err := r.db.NewSelect().Model(n).Where("cluster_id = ?", cluster).Where("uuid = ? OR name = ?", ident, ident).Limit(1).Scan(ctx)
	return n, notFound(err, "nodegroup", ident)
}
