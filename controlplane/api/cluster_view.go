package api

import (
	"maps"
	"strings"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// clusterItem is a cluster in a list.
type clusterItem struct {
	UUID              string            `json:"uuid"`
	Name              string            `json:"name"`
	ClusterTemplateID string            `json:"cluster_template_id"`
	Keypair           *string           `json:"keypair"`
	DockerVolumeSize  *int              `json:"docker_volume_size"`
	Labels            map[string]string `json:"labels"`
	NodeCount         int               `json:"node_count"`
	MasterCount       int               `json:"master_count"`
	Status            string            `json:"status"`
	MasterFlavorID    *string           `json:"master_flavor_id"`
	FlavorID          *string           `json:"flavor_id"`
	CreateTimeout     int               `json:"create_timeout"`
	HealthStatus      *string           `json:"health_status"`
	StackID           *string           `json:"stack_id"`
	Links             []link            `json:"links"`
}

// clusterDetail is a cluster in full.
type clusterDetail struct {
	clusterItem
	LabelsOverridden   map[string]string `json:"labels_overridden"`
	LabelsAdded        map[string]string `json:"labels_added"`
	LabelsSkipped      map[string]string `json:"labels_skipped"`
	MergeLabels        bool              `json:"merge_labels"`
	StatusReason       *string           `json:"status_reason"`
	HealthStatusReason map[string]string `json:"health_status_reason"`
	DiscoveryURL       *string           `json:"discovery_url"`
	APIAddress         *string           `json:"api_address"`
	COEVersion         *string           `json:"coe_version"`
	ContainerVersion   *string           `json:"container_version"`
	ProjectID          string            `json:"project_id"`
	UserID             string            `json:"user_id"`
	NodeAddresses      []string          `json:"node_addresses"`
	MasterAddresses    []string          `json:"master_addresses"`
	FixedNetwork       *string           `json:"fixed_network"`
	FixedSubnet        *string           `json:"fixed_subnet"`
	FloatingIPEnabled  bool              `json:"floating_ip_enabled"`
	MasterLBEnabled    bool              `json:"master_lb_enabled"`
	CreatedAt          string            `json:"created_at"`
	UpdatedAt          *string           `json:"updated_at"`
	// Faults, by nodegroup, are shown of a single cluster whose last operation failed.
	Faults map[string]string `json:"faults,omitempty"`
}

func viewClusterItem(base string, c *store.Cluster, groups []store.Nodegroup) clusterItem {
	item := clusterItem{
		UUID: c.UUID, Name: c.Name, ClusterTemplateID: c.ClusterTemplateID, Keypair: c.Keypair,
		DockerVolumeSize: c.DockerVolumeSize, Labels: orNoLabels(c.Labels), Status: c.Status,
		MasterFlavorID: c.MasterFlavorID, FlavorID: c.FlavorID, CreateTimeout: c.CreateTimeout,
		HealthStatus: c.HealthStatus, StackID: c.StackID, Links: objectLinks(base, "clusters", c.UUID),
	}
	for _, g := range groups {
		if g.Role == store.RoleMaster {
			item.MasterCount += g.NodeCount
		} else {
			item.NodeCount += g.NodeCount
		}
	}
	return item
}

// viewClusterDetail shows a cluster in full; template may be nil when it is gone.
func viewClusterDetail(base string, c *store.Cluster, groups []store.Nodegroup, template *store.ClusterTemplate) clusterDetail {
	d := clusterDetail{
		clusterItem: viewClusterItem(base, c, groups), MergeLabels: c.MergeLabels, StatusReason: c.StatusReason,
		HealthStatusReason: orNoLabels(c.HealthStatusReason), DiscoveryURL: c.DiscoveryURL, APIAddress: c.APIAddress,
		COEVersion: c.COEVersion, ContainerVersion: c.ContainerVersion, ProjectID: c.ProjectID, UserID: c.UserID,
		NodeAddresses: []string{}, MasterAddresses: []string{}, FixedNetwork: c.FixedNetwork, FixedSubnet: c.FixedSubnet,
		FloatingIPEnabled: c.FloatingIPEnabled, MasterLBEnabled: c.MasterLBEnabled,
		CreatedAt: viewTime(c.CreatedAt), UpdatedAt: viewTimePointer(c.UpdatedAt),
	}
	for _, g := range groups {
		if g.Role == store.RoleMaster {
			d.MasterAddresses = append(d.MasterAddresses, g.NodeAddresses...)
		} else {
			d.NodeAddresses = append(d.NodeAddresses, g.NodeAddresses...)
		}
	}
	var parent map[string]string
	if template != nil {
		parent = template.Labels
	}
	d.LabelsOverridden, d.LabelsAdded, d.LabelsSkipped = compareLabels(parent, c.Labels)
	return d
}

// addFaults adds the reasons of the nodegroups that failed.
func (d *clusterDetail) addFaults(groups []store.Nodegroup) {
	if !strings.HasSuffix(d.Status, "_"+store.Failed) {
		return
	}
	d.Faults = map[string]string{}
	for _, g := range groups {
		if strings.HasSuffix(g.Status, "_"+store.Failed) && g.StatusReason != nil {
			d.Faults[g.Name] = *g.StatusReason
		}
	}
}

// compareLabels sets labels against those of what they came from: overridden holds the
// parent's value of labels whose value differs, added those the parent has not, skipped the
// parent's that are missing.
func compareLabels(parent, own map[string]string) (overridden, added, skipped map[string]string) {
	overridden, added, skipped = map[string]string{}, map[string]string{}, map[string]string{}
	for name, value := range own {
		was, ok := parent[name]
		switch {
		case !ok:
			added[name] = value
		case was != value:
			overridden[name] = was
		}
	}
	for name, value := range parent {
		if _, ok := own[name]; !ok {
			skipped[name] = value
		}
	}
	return overridden, added, skipped
}

// effectiveLabels are the labels that a cluster gets: its own, or the template's when it has
// none; with merge, the template's and over them its own.
func effectiveLabels(template, own map[string]string, merge bool) map[string]string {
	switch {
	case len(own) == 0:
		return maps.Clone(orNoLabels(template))
	case merge:
		merged := maps.Clone(orNoLabels(template))
		maps.Copy(merged, own)
		return merged
	}
	return own
}

func orNoLabels(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

// viewTime is how Magnum writes times: seconds, with an offset.
func viewTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

func viewTimePointer(t *time.Time) *string {
	if t == nil || t.IsZero() {
		return nil
	}
	text := viewTime(*t)
	return &text
}
