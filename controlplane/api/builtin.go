package api

import (
	"context"

	"slipway.build/slipway/controlplane/store"
)

// builtinProject owns the built-in templates; no caller is in it.
const builtinProject = "slipway"

// ProductionTemplateID is the id of the white paper's example.
const ProductionTemplateID = "0562d357-8641-4759-8fed-8173f02c9633"

// DevelopmentTemplateID is the id of the template for one master and one worker.
const DevelopmentTemplateID = "7f4b0c52-9a1e-4d63-b0b5-2f3c1d8e6a90"

// Certified is what the built-in templates are certified with.
type Certified struct {
	Kubernetes string // version, such as "v1.36.3"; it becomes the label kube_tag
	Release    string // date of the templates, yyyymmdd; it ends their names
	Image      string // node OS image
	Flavor     string // of workers
	Master     string // flavor of masters
	External   string // external network
}

// builtinTemplates are the templates that every project sees: "prod" with a load balancer in
// front of the API, "dev" without.
func builtinTemplates(c Certified) []*store.ClusterTemplate {
	template := func(uuid, kind string, loadBalancer bool) *store.ClusterTemplate {
		return &store.ClusterTemplate{
			UUID: uuid, ProjectID: builtinProject, UserID: builtinProject,
			Name: "kubernetes-" + c.Kubernetes + "-" + kind + "-" + c.Release,
			COE:  "kubernetes", ImageID: c.Image, FlavorID: &c.Flavor, MasterFlavorID: &c.Master, ExternalNetworkID: &c.External,
			DNSNameserver: orText(nil, defaultDNSNameserver), DockerStorageDriver: orText(nil, defaultStorageDriver),
			ClusterDistro: orText(nil, defaultDistro), ServerType: defaultServerType,
			Labels:          map[string]string{"kube_tag": c.Kubernetes},
			MasterLBEnabled: loadBalancer, FloatingIPEnabled: true, Public: true,
		}
	}
	return []*store.ClusterTemplate{
		template(ProductionTemplateID, "prod", true),
		template(DevelopmentTemplateID, "dev", false),
	}
}

// SeedTemplates puts the built-in templates into the store and brings those that are there up
// to date. Clusters keep what they were made with.
func SeedTemplates(ctx context.Context, s *store.Store, c Certified) error {
	return s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, t := range builtinTemplates(c) {
			was, err := tx.ClusterTemplate(ctx, t.UUID)
			switch {
			case store.IsNotFound(err):
				err = tx.InsertClusterTemplate(ctx, t)
			case err == nil && !sameTemplate(was, t):
				err = tx.UpdateClusterTemplate(ctx, t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sameTemplate compares what the built-in templates set.
func sameTemplate(a, b *store.ClusterTemplate) bool {
	return a.Name == b.Name && a.ImageID == b.ImageID && *a.FlavorID == *b.FlavorID && *a.MasterFlavorID == *b.MasterFlavorID &&
		*a.ExternalNetworkID == *b.ExternalNetworkID && a.Labels["kube_tag"] == b.Labels["kube_tag"]
}
