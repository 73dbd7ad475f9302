package api

import (
	"context"
	"net/http"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// The kinds of operations that this API queues.
const (
	OperationCreate = "create"
	OperationDelete = "delete"
)

// clusterResourceType is the resource type of events about a cluster as a whole.
const clusterResourceType = "Magnum::Cluster"

// createCluster accepts a cluster: everything is checked, then the cluster, its nodegroups, an
// event and the queued operation are committed together, then comes the answer.
func (s *server) createCluster(w http.ResponseWriter, r *http.Request) error {
	ctx, caller := r.Context(), identity.FromContext(r.Context())
	b, err := readBody(w, r, clusterFields())
	if err != nil {
		return err
	}
	template, err := s.createTemplateOf(ctx, caller, *b.text("cluster_template_id"))
	if err != nil {
		return err
	}
	c, masters, workers, err := s.newCluster(ctx, caller, b, template)
	if err != nil {
		return err
	}
	err = s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The template may have been deleted since it was read.
		if _, err := tx.ClusterTemplate(ctx, template.UUID); store.IsNotFound(err) {
			return notFound("ClusterTemplate %s could not be found.", template.UUID)
		} else if err != nil {
			return err
		}
		if err := tx.InsertCluster(ctx, c); err != nil {
			return err
		}
		for _, group := range []*store.Nodegroup{masters, workers} {
			if err := tx.InsertNodegroup(ctx, group); err != nil {
				return err
			}
		}
		if err := tx.InsertEvents(ctx, []*store.Event{clusterEvent(c, c.Status, "Cluster CREATE accepted", caller)}); err != nil {
			return err
		}
		return tx.Enqueue(ctx, &store.Operation{ClusterID: c.UUID, Kind: OperationCreate, Actor: caller.Actor()})
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"uuid": c.UUID})
	return nil
}

// createTemplateOf finds the template of a create request; before 1.10 an unknown one is a bad
// request.
func (s *server) createTemplateOf(ctx context.Context, caller identity.Caller, ident string) (*store.ClusterTemplate, error) {
	template, err := findTemplate(ctx, s.Store, caller, ident)
	if err != nil && statusOf(err) == http.StatusNotFound && versionOf(ctx) < versionUnknownTemplate {
		return nil, badRequest("%s", err.Error())
	}
	return template, err
}

// newCluster checks a create request in Magnum's order and returns the rows it asks for.
func (s *server) newCluster(ctx context.Context, caller identity.Caller, b body, template *store.ClusterTemplate) (c *store.Cluster, masters, workers *store.Nodegroup, err error) {
	c = &store.Cluster{
		UUID: store.NewID(), ProjectID: caller.ProjectID, UserID: caller.UserID, ClusterTemplateID: template.UUID,
		Keypair:           firstOf(b.text("keypair"), template.KeypairID),
		DockerVolumeSize:  firstOf(b.integer("docker_volume_size"), template.DockerVolumeSize),
		MergeLabels:       valueOf(b.boolean("merge_labels"), false),
		MasterFlavorID:    firstOf(b.text("master_flavor_id"), template.MasterFlavorID),
		FlavorID:          firstOf(b.text("flavor_id"), template.FlavorID),
		CreateTimeout:     valueOf(b.integer("create_timeout"), defaultCreateTimeout),
		DiscoveryURL:      b.text("discovery_url"),
		FixedNetwork:      firstOf(b.text("fixed_network"), template.FixedNetwork),
		FixedSubnet:       firstOf(b.text("fixed_subnet"), template.FixedSubnet),
		FloatingIPEnabled: valueOf(b.boolean("floating_ip_enabled"), template.FloatingIPEnabled),
		MasterLBEnabled:   valueOf(b.boolean("master_lb_enabled"), template.MasterLBEnabled),
		Status:            store.CreateInProgress,
	}
	c.Labels = effectiveLabels(template.Labels, b.labels("labels"), c.MergeLabels)
	if name := b.text("name"); name != nil {
		c.Name = *name
	} else if c.Name, err = randomName("cluster"); err != nil {
		return nil, nil, nil, err
	}
	masterCount, nodeCount := valueOf(b.integer("master_count"), 1), valueOf(b.integer("node_count"), 1)
	if err := s.checkCluster(ctx, c, template, masterCount, nodeCount); err != nil {
		return nil, nil, nil, err
	}
	group := func(name, role string, count int, flavor *string) *store.Nodegroup {
		return &store.Nodegroup{
			UUID: store.NewID(), ClusterID: c.UUID, ProjectID: c.ProjectID, Name: name, Role: role, NodeCount: count,
			DockerVolumeSize: c.DockerVolumeSize, Labels: c.Labels, FlavorID: flavor, ImageID: &template.ImageID,
			IsDefault: true, Status: store.CreateInProgress,
		}
	}
	masters = group(store.DefaultMaster, store.RoleMaster, masterCount, c.MasterFlavorID)
	masters.MinNodeCount = 1
	workers = group(store.DefaultWorker, store.RoleWorker, nodeCount, c.FlavorID)
	return c, masters, workers, nil
}

func clusterEvent(c *store.Cluster, status, reason string, caller identity.Caller) *store.Event {
	return &store.Event{
		ClusterID: c.UUID, ResourceName: c.Name, PhysicalID: c.UUID, ResourceType: clusterResourceType,
		Status: status, StatusReason: reason, Actor: caller.Actor(),
	}
}

// firstOf returns the first pointer that is set.
func firstOf[T any](pointers ...*T) *T {
	for _, p := range pointers {
		if p != nil {
			return p
		}
	}
	return nil
}

func valueOf[T any](pointer *T, otherwise T) T {
	if pointer != nil {
		return *pointer
	}
	return otherwise
}
