package conductor

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// authority is Slipway::Cluster::Authority: the cluster's certificate authority for one purpose.
type authority struct {
	store       *store.Store
	authorities *pki.Authorities
}

func (authority) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{{Name: "purpose", Kind: cloud.String, Required: true}},
		Attributes: []string{"certificate"},
	}
}

func (a authority) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	purpose := pki.Purpose(text(req, "purpose"))
	switch purpose {
	case pki.Kubernetes, pki.Etcd, pki.FrontProxy:
	default:
		return cloud.Object{}, fault.Terminalf("authority %s: purpose %q is none of kubernetes, etcd, front-proxy", req.Name, purpose)
	}
	cluster, err := a.store.Cluster(ctx, req.Cluster)
	if err != nil {
		return cloud.Object{}, err
	}
	made, err := a.authorities.Ensure(ctx, req.Cluster, cluster.Name, purpose)
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: req.Key, Attributes: map[string]any{"certificate": made.PEM()}}, nil
}

func (a authority) Delete(ctx context.Context, req cloud.Request) error {
	err := a.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteAuthority(ctx, req.Cluster, text(req, "purpose"))
	})
	if err == nil {
		a.authorities.Forget(req.Cluster)
	}
	return err
}
