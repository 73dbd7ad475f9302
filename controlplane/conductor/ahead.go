package conductor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

// nodePlatform is the lock's name of the platform of all nodes.
const nodePlatform = "linux/amd64"

// Ahead says what nodes fetch before a plan names it.
type Ahead struct {
	Store *store.Store
	Trust Trust
}

// Ahead returns the arguments of a pull of the images with those names in the lock, of all that
// the node's newest plan names when there are none. A wrong name is a terminal error.
func (a Ahead) Ahead(ctx context.Context, node *store.Node, names []string) (action.Arguments, error) {
	out := action.Arguments{Lock: a.Trust.Digest, Registries: a.Trust.Registries}
	imported := map[string]bool{}
	if row, err := a.Store.CurrentPlan(ctx, node.ID); err == nil {
		p, err := plan.Peek(row.Envelope)
		if err != nil {
			return out, fmt.Errorf("newest plan of node %s: %w", node.Name, err)
		}
		for _, image := range p.Images {
			imported[image.Name] = image.Import != ""
		}
	} else if !store.IsNotFound(err) {
		return out, err
	}
	if len(names) == 0 {
		for name := range imported {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	if len(names) == 0 {
		return out, fault.Conflictf("node %s has no plan yet: name the images", node.Name)
	}
	for _, name := range names {
		image, ok := a.Trust.Locked.ByName(name)
		if !ok {
			return out, fault.Terminalf("images: there is no image %.60q in the lock; it has %s", name, strings.Join(a.names(), ", "))
		}
		platform, ok := image.For(nodePlatform)
		if !ok {
			return out, fault.Terminalf("images: %s is unresolved in the lock, or not made for %s", name, nodePlatform)
		}
		out.Images = append(out.Images, action.Image{
			Name: name, Repository: image.Repository, Digest: platform.Manifest, Import: imported[name],
		})
	}
	return out, nil
}

func (a Ahead) names() []string {
	var out []string
	for _, image := range a.Trust.Locked.Images {
		out = append(out, image.Name)
	}
	return out
}
