package api

import (
	"context"
	"net/http"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

var nodegroupSortKeys = []string{"uuid", "name", "status", "role", "node_count", "created_at", "updated_at"}

// nodegroupItem is a nodegroup in a list.
type nodegroupItem struct {
	UUID      string  `json:"uuid"`
	Name      string  `json:"name"`
	FlavorID  *string `json:"flavor_id"`
	NodeCount int     `json:"node_count"`
	Role      string  `json:"role"`
	IsDefault bool    `json:"is_default"`
	ImageID   *string `json:"image_id"`
	Status    string  `json:"status"`
	StackID   *string `json:"stack_id"`
	Links     []link  `json:"links"`
}

// nodegroupDetail is a nodegroup in full.
type nodegroupDetail struct {
	nodegroupItem
	ClusterID        string            `json:"cluster_id"`
	ProjectID        string            `json:"project_id"`
	DockerVolumeSize *int              `json:"docker_volume_size"`
	Labels           map[string]string `json:"labels"`
	LabelsOverridden map[string]string `json:"labels_overridden"`
	LabelsAdded      map[string]string `json:"labels_added"`
	LabelsSkipped    map[string]string `json:"labels_skipped"`
	MergeLabels      bool              `json:"merge_labels"`
	NodeAddresses    []string          `json:"node_addresses"`
	MinNodeCount     int               `json:"min_node_count"`
	MaxNodeCount     *int              `json:"max_node_count"`
	StatusReason     *string           `json:"status_reason"`
	Version          *string           `json:"version"`
	CreatedAt        string            `json:"created_at"`
	UpdatedAt        *string           `json:"updated_at"`
}

func viewNodegroupItem(base string, g *store.Nodegroup) nodegroupItem {
	return nodegroupItem{
		UUID: g.UUID, Name: g.Name, FlavorID: g.FlavorID, NodeCount: g.NodeCount, Role: g.Role, IsDefault: g.IsDefault,
		ImageID: g.ImageID, Status: g.Status, StackID: g.StackID, Links: objectLinks(base, "clusters/"+g.ClusterID+"/nodegroups", g.UUID),
	}
}

func viewNodegroupDetail(base string, g *store.Nodegroup, c *store.Cluster) nodegroupDetail {
	d := nodegroupDetail{
		nodegroupItem: viewNodegroupItem(base, g), ClusterID: g.ClusterID, ProjectID: g.ProjectID, DockerVolumeSize: g.DockerVolumeSize,
		Labels: orNoLabels(g.Labels), MergeLabels: g.MergeLabels, NodeAddresses: append([]string{}, g.NodeAddresses...),
		MinNodeCount: g.MinNodeCount, MaxNodeCount: g.MaxNodeCount, StatusReason: g.StatusReason, Version: g.Version,
		CreatedAt: viewTime(g.CreatedAt), UpdatedAt: viewTimePointer(g.UpdatedAt),
	}
	d.LabelsOverridden, d.LabelsAdded, d.LabelsSkipped = compareLabels(c.Labels, g.Labels)
	return d
}

// checkNodegroupVersion refuses versions that do not know nodegroups.
func checkNodegroupVersion(ctx context.Context) error {
	if v := versionOf(ctx); v < versionNodegroups {
		return notAcceptable("Version %s does not know nodegroups, which came with %s.", v, versionNodegroups)
	}
	return nil
}

func (s *server) listNodegroups(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := checkNodegroupVersion(ctx); err != nil {
		return err
	}
	p, err := readPage(r, nodegroupSortKeys...)
	if err != nil {
		return err
	}
	c, err := findCluster(ctx, s.Store, identity.FromContext(ctx), r.PathValue("cluster"))
	if err != nil {
		return err
	}
	if p.marker != "" {
		if _, err := s.findNodegroup(ctx, c, p.marker); err != nil {
			return err
		}
	}
	groups, err := s.Store.Nodegroups(ctx, c.UUID, r.URL.Query().Get("role"), p.stored())
	if err != nil {
		return err
	}
	items := make([]nodegroupItem, 0, len(groups))
	last := ""
	for i := range groups {
		items = append(items, viewNodegroupItem(baseOf(r), &groups[i]))
		last = groups[i].UUID
	}
	writeCollection(w, "nodegroups", items, p.next(baseOf(r), "clusters/"+c.UUID+"/nodegroups", len(items), last))
	return nil
}

func (s *server) showNodegroup(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := checkNodegroupVersion(ctx); err != nil {
		return err
	}
	c, err := findCluster(ctx, s.Store, identity.FromContext(ctx), r.PathValue("cluster"))
	if err != nil {
		return err
	}
	group, err := s.findNodegroup(ctx, c, r.PathValue("nodegroup"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewNodegroupDetail(baseOf(r), group, c))
	return nil
}

func (s *server) findNodegroup(ctx context.Context, c *store.Cluster, ident string) (*store.Nodegroup, error) {
	group, err := s.Store.Nodegroup(ctx, c.UUID, ident)
	if store.IsNotFound(err) {
		return nil, notFound("Nodegroup %s could not be found.", shown(ident))
	}
	return group, err
}
