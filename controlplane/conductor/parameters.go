package conductor

import (
	"time"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/templates"
	"slipway.build/slipway/controlplane/store"
)

// apiPort is where the API servers of clusters answer.
const apiPort = 6443

// labelParameters are the labels of a cluster, by Magnum's names, that set a parameter of its
// template; a label that is not there leaves the template's default.
func labelParameters() map[string]string {
	return map[string]string{
		"kube_tag":                 "kube_tag",
		"image_verifier":           "image_verifier",
		"image_verifier_allow":     "image_verifier_allow",
		"fixed_subnet_cidr":        "fixed_network_cidr",
		"calico_ipv4pool":          "pods_network_cidr",
		"service_cluster_ip_range": "service_cidr",
		"etcd_volume_size":         "etcd_volume_size",
		"boot_volume_size":         "boot_volume_size",
		"master_lb_allowed_cidrs":  "api_allowed_cidr",
	}
}

// stackSpec gives the cluster's template the cluster's values.
func stackSpec(cluster *store.Cluster, groups []store.Nodegroup, template *store.ClusterTemplate, actor string) (engine.Spec, error) {
	files, err := templates.Files()
	if err != nil {
		return engine.Spec{}, err
	}
	masters, workers, err := defaultGroups(cluster, groups)
	if err != nil {
		return engine.Spec{}, err
	}
	id := store.NewID()
	name := engine.StackName(cluster.Name, id)
	parameters := map[string]any{
		"cluster_name":        cluster.Name,
		"cluster_uuid":        cluster.UUID,
		"node_name_prefix":    name,
		"master_count":        masters.NodeCount,
		"node_count":          workers.NodeCount,
		"master_nodegroup":    masters.UUID,
		"worker_nodegroup":    workers.UUID,
		"master_flavor":       value(masters.FlavorID),
		"flavor":              value(workers.FlavorID),
		"image":               template.ImageID,
		"external_network":    value(template.ExternalNetworkID),
		"floating_ip_enabled": cluster.FloatingIPEnabled,
		"master_lb_enabled":   cluster.MasterLBEnabled,
	}
	for name, v := range map[string]*string{"keypair": cluster.Keypair, "dns_nameserver": template.DNSNameserver} {
		if v != nil {
			parameters[name] = *v
		}
	}
	for label, parameter := range labelParameters() {
		if v, ok := cluster.Labels[label]; ok {
			parameters[parameter] = v
		}
	}
	// Labels of its own replace the template's, but a cluster of no version cannot be: without the
	// label it is of the version that its template is certified with, as with Magnum's drivers.
	if v, ok := template.Labels["kube_tag"]; ok && cluster.Labels["kube_tag"] == "" {
		parameters["kube_tag"] = v
	}
	return engine.Spec{
		ID: id, Name: name, Cluster: cluster.UUID, Project: cluster.ProjectID, Actor: actor,
		Template: templates.Cluster, Files: files, Parameters: parameters,
		Timeout: time.Duration(cluster.CreateTimeout) * time.Minute,
	}, nil
}

func defaultGroups(cluster *store.Cluster, groups []store.Nodegroup) (masters, workers *store.Nodegroup, err error) {
	for i := range groups {
		switch groups[i].Name {
		case store.DefaultMaster:
			masters = &groups[i]
		case store.DefaultWorker:
			workers = &groups[i]
		}
	}
	if masters == nil || workers == nil {
		return nil, nil, fault.Terminalf("cluster %s lacks its default nodegroups", cluster.Name)
	}
	return masters, workers, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
