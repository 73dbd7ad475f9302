package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// ClusterTemplate is a row of cluster_templates, as Magnum shows it.
type ClusterTemplate struct {
	bun.BaseModel `bun:"table:cluster_templates"`

	ID                  int64             `bun:"id,pk,autoincrement"`
	UUID                string            `bun:"uuid"`
	ProjectID           string            `bun:"project_id"`
	UserID              string            `bun:"user_id"`
	Name                string            `bun:"name"`
	COE                 string            `bun:"coe"`
	ImageID             string            `bun:"image_id"`
	FlavorID            *string           `bun:"flavor_id"`
	MasterFlavorID      *string           `bun:"master_flavor_id"`
	KeypairID           *string           `bun:"keypair_id"`
	ExternalNetworkID   *string           `bun:"external_network_id"`
	FixedNetwork        *string           `bun:"fixed_network"`
	FixedSubnet         *string           `bun:"fixed_subnet"`
	DNSNameserver       *string           `bun:"dns_nameserver"`
	NetworkDriver       *string           `bun:"network_driver"`
	VolumeDriver        *string           `bun:"volume_driver"`
	APIServerPort       *int              `bun:"apiserver_port"`
	DockerVolumeSize    *int              `bun:"docker_volume_size"` // GB
	DockerStorageDriver *string           `bun:"docker_storage_driver"`
	ClusterDistro       *string           `bun:"cluster_distro"`
	HTTPProxy           *string           `bun:"http_proxy"`
	HTTPSProxy          *string           `bun:"https_proxy"`
	NoProxy             *string           `bun:"no_proxy"`
	InsecureRegistry    *string           `bun:"insecure_registry"`
	RegistryEnabled     bool              `bun:"registry_enabled"`
	TLSDisabled         bool              `bun:"tls_disabled"`
	ServerType          string            `bun:"server_type"`
	Labels              map[string]string `bun:"labels,type:text"`
	MasterLBEnabled     bool              `bun:"master_lb_enabled"`
	FloatingIPEnabled   bool              `bun:"floating_ip_enabled"`
	Public              bool              `bun:"public"`
	Hidden              bool              `bun:"hidden"`
	Tags                *string           `bun:"tags"`
	CreatedAt           time.Time         `bun:"created_at"`
	UpdatedAt           *time.Time        `bun:"updated_at"`
}

// InsertClusterTemplate adds a template. UUID is made when empty.
func (tx *Tx) InsertClusterTemplate(ctx context.Context, t *ClusterTemplate) error {
	if t.UUID == "" {
		t.UUID = NewID()
	}
	t.CreatedAt = tx.now
	t.Labels = orEmpty(t.Labels)
	return tx.insert(ctx, "cluster template "+t.Name, t)
}

// UpdateClusterTemplate writes all of t but its keys and times, and sets UpdatedAt.
func (tx *Tx) UpdateClusterTemplate(ctx context.Context, t *ClusterTemplate) error {
	now := tx.now
	t.UpdatedAt = &now
	t.Labels = orEmpty(t.Labels)
	return tx.updateModel(ctx, "cluster template "+t.UUID, t, []string{"id", "uuid", "created_at"}, "uuid = ?", t.UUID)
}

// DeleteClusterTemplate removes the row.
func (tx *Tx) DeleteClusterTemplate(ctx context.Context, uuid string) error {
	n, err := tx.exec(ctx, "delete cluster template "+uuid, `DELETE FROM cluster_templates WHERE uuid = ?`, uuid)
	return updated(n, err, "cluster template "+uuid)
}

// ClusterTemplate returns the template with that UUID, or ErrNotFound.
func (r Reader) ClusterTemplate(ctx context.Context, uuid string) (*ClusterTemplate, error) {
	t := new(ClusterTemplate)
	err := r.db.NewSelect().Model(t).Where("uuid = ?", uuid).Scan(ctx)
	return t, notFound(err, "cluster template", uuid)
}

// FindClusterTemplates returns the templates whose UUID or name is ident and that the project
// may see: its own, and public ones that are not hidden; all when project is empty.
func (r Reader) FindClusterTemplates(ctx context.Context, project, ident string) ([]ClusterTemplate, error) {
	var ts []ClusterTemplate
	q := visible(r.db.NewSelect().Model(&ts), project).Where("uuid = ? OR name = ?", ident, ident).OrderExpr("id")
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("find cluster template %s: %w", ident, err)
	}
	return ts, nil
}

// ClusterTemplates lists the templates that the project may see; all when project is empty.
func (r Reader) ClusterTemplates(ctx context.Context, project string, p Page) ([]ClusterTemplate, error) {
	var ts []ClusterTemplate
	q, err := p.apply(visible(r.db.NewSelect().Model(&ts), project), "cluster_templates", "uuid", "id",
		"uuid", "name", "image_id", "flavor_id", "master_flavor_id", "created_at", "updated_at")
	if err != nil {
		return nil, err
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list cluster templates: %w", err)
	}
	return ts, nil
}

func visible(q *bun.SelectQuery, project string) *bun.SelectQuery {
	if project == "" {
		return q
	}
	return q.Where("(project_id = ? OR (public AND NOT hidden))", project)
}
