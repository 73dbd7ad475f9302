package api

import (
	"context"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// rows is what reads the store: the store itself or a transaction.
type rows interface {
	FindClusters(ctx context.Context, project, ident string) ([]store.Cluster, error)
	FindClusterTemplates(ctx context.Context, project, ident string) ([]store.ClusterTemplate, error)
}

// findCluster returns the project's cluster with that UUID or name.
func findCluster(ctx context.Context, from rows, caller identity.Caller, ident string) (*store.Cluster, error) {
	found, err := from.FindClusters(ctx, caller.ProjectID, ident)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].UUID == ident { // another cluster may have this UUID as its name
			return &found[i], nil
		}
	}
	switch len(found) {
	case 0:
		return nil, notFound("Cluster %s could not be found.", shown(ident))
	case 1:
		return &found[0], nil
	}
	return nil, conflict("Multiple clusters exist with same name. Please use the cluster uuid instead.")
}

// findTemplate returns the template with that UUID or name which the project may see.
func findTemplate(ctx context.Context, from rows, caller identity.Caller, ident string) (*store.ClusterTemplate, error) {
	found, err := from.FindClusterTemplates(ctx, caller.ProjectID, ident)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].UUID == ident {
			return &found[i], nil
		}
	}
	switch len(found) {
	case 0:
		return nil, notFound("ClusterTemplate %s could not be found.", shown(ident))
	case 1:
		return &found[0], nil
	}
	return nil, conflict("Multiple clustertemplates exist with same name. Please use the clustertemplate uuid instead.")
}
