package conductor

import (
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// serverType is the cloud's type whose user data the conductor resolves.
const serverType = "OS::Nova::Server"

// Types are the resource types of a cluster's template: the conductor's own and the cloud's.
type Types struct {
	Store       *store.Store
	Sealer      *store.Sealer
	Authorities *pki.Authorities
	Plans       *pki.PlanSigner
	Trust       Trust
	UserData    UserData
	Cloud       cloud.Driver
	PlanLife    time.Duration    // how long a node may begin to apply a plan; PlanLife when zero
	Now         func() time.Time // time.Now when nil
}

// Type returns the resource type of that name, or false when there is none.
func (t Types) Type(name string) (cloud.Type, bool) {
	switch name {
	case "Slipway::Cluster::Authority":
		return authority{t.Store, t.Authorities}, true
	case "Slipway::Cluster::Deployment":
		return clusterWork{t.Store}, true
	case "Slipway::Node::Registration":
		return registration{t.Store, t.Sealer}, true
	case "Slipway::Node::Deployment":
		now := t.Now
		if now == nil {
			now = time.Now
		}
		return deployment{t.Store, t.Plans, t.Authorities, t.Trust, t.PlanLife, now}, true
	case "Magnum::FloatingIPAddressSwitcher":
		return switcher{}, true
	}
	found, ok := t.Cloud.Type(name)
	if ok && name == serverType {
		found = server{found, t.UserData}
	}
	return found, ok
}
