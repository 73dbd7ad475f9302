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
	"slipway.build/slipway/imagebuild/lock"
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
	imported, running := map[string]bool{}, map[string]string{}
	if row, err := a.Store.CurrentPlan(ctx, node.ID); err == nil {
		p, err := plan.Peek(row.Envelope)
		if err != nil {
			return out, fmt.Errorf("newest plan of node %s: %w", node.Name, err)
		}
		for _, image := range p.Images {
			imported[image.Name], running[image.Name] = image.Import != "", image.Digest
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
		image, err := a.find(name, running)
		if err != nil {
			return out, err
		}
		if slices.ContainsFunc(out.Images, func(i action.Image) bool { return i.Name == image.Name }) {
			return out, fault.Terminalf("images: %s is named twice; one request fetches one version of it", image.Name)
		}
		platform, ok := image.For(nodePlatform)
		if !ok {
			return out, fault.Terminalf("images: %s is unresolved in the lock, or not made for %s", name, nodePlatform)
		}
		out.Images = append(out.Images, action.Image{
			Name: image.Name, Repository: image.Repository, Digest: platform.Manifest, Import: imported[image.Name],
		})
	}
	return out, nil
}

// find returns the image that a name means: NAME@VERSION is exact; a bare name is the version that
// the node runs, or the only one that the lock has.
func (a Ahead) find(name string, running map[string]string) (*lock.Image, error) {
	bare, version, exact := strings.Cut(name, "@")
	all := a.Trust.Locked.ByName(bare)
	if len(all) == 0 {
		return nil, fault.Terminalf("images: there is no image %.60q in the lock; it has %s", bare, strings.Join(a.names(), ", "))
	}
	var versions []string
	for _, image := range all {
		platform, ok := image.For(nodePlatform)
		if image.Version == version || !exact && (len(all) == 1 || ok && platform.Manifest == running[bare]) {
			return image, nil
		}
		versions = append(versions, bare+"@"+image.Version)
	}
	return nil, fault.Terminalf("images: %.120q is none of the lock's versions; name one of %s", name, strings.Join(versions, ", "))
}

func (a Ahead) names() []string {
	var out []string
	for _, image := range a.Trust.Locked.Images {
		out = append(out, image.Name)
	}
	return slices.Compact(out)
}
