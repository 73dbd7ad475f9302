package conductor

import (
	"context"
	"fmt"

	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/store"
)

// Profiles decides what the node API signs for a node: by the table in components, with the
// addresses that the node's own deployment was given.
type Profiles struct{ Store *store.Store }

// Profile returns what is signed for a purpose of the node. The error is components.ErrPurpose
// for a purpose that does not exist or that the node's role may not have.
func (p Profiles) Profile(ctx context.Context, node *store.Node, purpose string) (components.Profile, error) {
	current, err := p.Store.CurrentPlan(ctx, node.ID)
	if err != nil {
		return components.Profile{}, err
	}
	resource, err := p.Store.Resource(ctx, current.Deployment)
	if err != nil {
		return components.Profile{}, fmt.Errorf("deployment of node %s: %w", node.Name, err)
	}
	req := cloud.Request{Name: resource.Name, Properties: resource.Properties}
	return components.Subject(purpose,
		components.Cluster{
			APIAddress:    text(req, "api_address"),
			APIFloatingIP: floating(req),
			ServiceCIDR:   text(req, "service_cidr"),
		},
		components.Node{ID: node.ID, Name: node.Name, Role: components.Role(node.Role), Address: node.Address})
}
