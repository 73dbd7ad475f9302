package api

import "slipway.build/slipway/controlplane/store"

// templateView is a template; Magnum shows all of it in lists too.
type templateView struct {
	UUID                string            `json:"uuid"`
	Name                string            `json:"name"`
	COE                 string            `json:"coe"`
	ImageID             string            `json:"image_id"`
	FlavorID            *string           `json:"flavor_id"`
	MasterFlavorID      *string           `json:"master_flavor_id"`
	KeypairID           *string           `json:"keypair_id"`
	ExternalNetworkID   *string           `json:"external_network_id"`
	FixedNetwork        *string           `json:"fixed_network"`
	FixedSubnet         *string           `json:"fixed_subnet"`
	DNSNameserver       *string           `json:"dns_nameserver"`
	NetworkDriver       *string           `json:"network_driver"`
	VolumeDriver        *string           `json:"volume_driver"`
	APIServerPort       *int              `json:"apiserver_port"`
	DockerVolumeSize    *int              `json:"docker_volume_size"`
	DockerStorageDriver *string           `json:"docker_storage_driver"`
	ClusterDistro       *string           `json:"cluster_distro"`
	HTTPProxy           *string           `json:"http_proxy"`
	HTTPSProxy          *string           `json:"https_proxy"`
	NoProxy             *string           `json:"no_proxy"`
	InsecureRegistry    *string           `json:"insecure_registry"`
	RegistryEnabled     bool              `json:"registry_enabled"`
	TLSDisabled         bool              `json:"tls_disabled"`
	ServerType          string            `json:"server_type"`
	Labels              map[string]string `json:"labels"`
	MasterLBEnabled     bool              `json:"master_lb_enabled"`
	FloatingIPEnabled   bool              `json:"floating_ip_enabled"`
	Public              bool              `json:"public"`
	Hidden              bool              `json:"hidden"`
	Tags                *string           `json:"tags"`
	ProjectID           string            `json:"project_id"`
	UserID              string            `json:"user_id"`
	CreatedAt           string            `json:"created_at"`
	UpdatedAt           *string           `json:"updated_at"`
	Links               []link            `json:"links"`
}

func viewTemplate(base string, t *store.ClusterTemplate) templateView {
	return templateView{
		UUID: t.UUID, Name: t.Name, COE: t.COE, ImageID: t.ImageID, FlavorID: t.FlavorID, MasterFlavorID: t.MasterFlavorID,
		KeypairID: t.KeypairID, ExternalNetworkID: t.ExternalNetworkID, FixedNetwork: t.FixedNetwork, FixedSubnet: t.FixedSubnet,
		DNSNameserver: t.DNSNameserver, NetworkDriver: t.NetworkDriver, VolumeDriver: t.VolumeDriver, APIServerPort: t.APIServerPort,
		DockerVolumeSize: t.DockerVolumeSize, DockerStorageDriver: t.DockerStorageDriver, ClusterDistro: t.ClusterDistro,
		HTTPProxy: t.HTTPProxy, HTTPSProxy: t.HTTPSProxy, NoProxy: t.NoProxy, InsecureRegistry: t.InsecureRegistry,
		RegistryEnabled: t.RegistryEnabled, TLSDisabled: t.TLSDisabled, ServerType: t.ServerType, Labels: orNoLabels(t.Labels),
		MasterLBEnabled: t.MasterLBEnabled, FloatingIPEnabled: t.FloatingIPEnabled, Public: t.Public, Hidden: t.Hidden, Tags: t.Tags,
		ProjectID: t.ProjectID, UserID: t.UserID, CreatedAt: viewTime(t.CreatedAt), UpdatedAt: viewTimePointer(t.UpdatedAt),
		Links: objectLinks(base, "clustertemplates", t.UUID),
	}
}
