// Package serve puts the control plane's parts together and runs them until told to end.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/api"
	"slipway.build/slipway/controlplane/cloud/local"
	"slipway.build/slipway/controlplane/conductor"
	"slipway.build/slipway/controlplane/heatapi"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/nodeapi"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/slipwayapi"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/imagebuild/registry"
)

// Run serves until ctx ends. What was accepted and is not finished goes on at the next Run.
func Run(ctx context.Context, o Options) (err error) {
	if err := identity.CheckListen(o.Listen); err != nil {
		return err
	}
	c, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	types := conductor.Types{
		Store: c.store, Sealer: c.sealer, Authorities: c.authorities, Plans: c.system.Plans, Trust: c.trust, Cloud: c.cloud, PlanLife: o.PlanLife,
		UserData: conductor.NodeData{
			Store: c.store, Sealer: c.sealer, ControlPlane: "https://" + o.NodeListen, CA: c.system.PEM(), Keypair: c.cloud.Keypair,
		},
	}
	orchestra := engine.New(c.store, types.Type, engine.Options{Parallel: o.Parallel, Log: o.Log.With("part", "engine")})
	desk := &actions.Desk{
		Store: c.store, Signer: c.system.Plans, Archives: &actions.Archives{Dir: filepath.Join(o.State, "control", "archives")},
		Now: time.Now, Log: o.Log.With("part", "actions"),
	}
	nodes, err := c.nodes(o, desk)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	serve(ctx, group, o.Listen, plain(c.tenants(o, orchestra, desk)))
	serve(ctx, group, o.NodeListen, nodes)
	serve(ctx, group, o.RegistryListen, plain(registry.New(filepath.Join(o.State, "registry"))))
	group.Go(func() error {
		name, err := os.Hostname()
		if err != nil {
			name = "conductor"
		}
		c := conductor.Conductor{Store: c.store, Engine: orchestra, Sealer: c.sealer, Name: name, Log: o.Log.With("part", "conductor")}
		return c.Run(ctx)
	})
	group.Go(func() error { c.cloud.Tend(ctx); return nil })
	group.Go(func() error { return desk.Run(ctx) })
	group.Go(func() error {
		tendPlanKeys(ctx, c.system.Plans, o.PlanKeyLife, o.Log.With("part", "keys"))
		return nil
	})
	group.Go(func() error { c.keys.tend(ctx); return nil })
	o.Log.Info("slipwayd serves", "tenants", o.Listen, "nodes", o.NodeListen, "registry", o.RegistryListen, "state", o.State, "lock", c.trust.Digest)
	return group.Wait()
}

// core is what the parts share.
type core struct {
	store       *store.Store
	sealer      *store.Sealer
	system      *pki.SystemPKI
	authorities *pki.Authorities
	trust       conductor.Trust
	kubernetes  []string // versions of clusters, in order
	keys        *lockKeys
	cloud       *local.Cloud
}

// open opens what is kept in the state directory, and brings the local cloud back to it.
func open(ctx context.Context, o Options) (*core, error) {
	c, control := &core{}, filepath.Join(o.State, "control")
	var err error
	if c.store, err = store.Open(ctx, filepath.Join(control, "slipway.db"), store.Options{}); err != nil {
		return nil, err
	}
	if err := c.fill(ctx, o, control); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// fill opens the rest.
func (c *core) fill(ctx context.Context, o Options, control string) (err error) {
	if c.sealer, err = store.OpenSealer(filepath.Join(control, "sealing.key")); err != nil {
		return err
	}
	records := pki.NewStoreRecords(c.store)
	if c.system, err = pki.OpenSystem(ctx, records, c.sealer, time.Now); err != nil {
		return err
	}
	c.system.NodeLife = o.NodeCertificateLife
	c.authorities = pki.NewAuthorities(records, c.sealer, time.Now)
	if c.trust, err = readTrust(ctx, c.store, o.State, o.RegistryListen); err != nil {
		return err
	}
	if c.keys, err = openLockKeys(filepath.Join(lockDir(o.State), "keys"), o.Log.With("part", "keys")); err != nil {
		return err
	}
	if c.cloud, err = local.New(local.Config{State: o.State, Log: o.Log.With("part", "cloud")}); err != nil {
		return err
	}
	if err := c.cloud.Restore(ctx); err != nil {
		return fmt.Errorf("bring the local cloud back to what its records say: %w", err)
	}
	if c.kubernetes, err = kubernetesVersions(c.trust.Locked, filepath.Join(o.State, "registry")); err != nil {
		return err
	}
	return api.SeedTemplates(ctx, c.store, api.Certified{
		Kubernetes: c.kubernetes[len(c.kubernetes)-1], Release: release,
		Image: ImageName, Flavor: flavor, Master: flavor, External: c.cloud.Network.Bridge(),
	})
}

func (c *core) close() error {
	var err error
	if c.keys != nil {
		err = c.keys.close()
	}
	return errors.Join(err, c.store.Close())
}

// tenants are the APIs for those who have clusters.
func (c *core) tenants(o Options, orchestra *engine.Engine, desk *actions.Desk) http.Handler {
	mux, none := http.NewServeMux(), identity.NewNone()
	mux.Handle("/heat/", heatapi.New(heatapi.Config{Store: c.store, Queries: orchestra, Identity: none, Prefix: "/heat", Log: o.Log}))
	mux.Handle("/slipway/", slipwayapi.New(slipwayapi.Config{
		Store: c.store, Desk: desk, Images: conductor.Ahead{Store: c.store, Trust: c.trust}, Identity: none, Log: o.Log,
	}))
	mux.Handle("/", api.New(api.Config{Store: c.store, Cloud: c.cloud, Authorities: c.authorities, Identity: none, Kubernetes: c.kubernetes, Log: o.Log}))
	return mux
}

// nodes is the server of the node API.
func (c *core) nodes(o Options, desk *actions.Desk) (*http.Server, error) {
	nodes := nodeapi.New(nodeapi.Config{
		Actions: desk,
		Store:   c.store, System: c.system, Authorities: c.authorities, Profiles: conductor.Profiles{Store: c.store},
		Locks:   nodeapi.StoreLocks{Store: c.store, Statements: c.keys.Statements},
		Secrets: nodeapi.StoreSecrets{Store: c.store, Sealer: c.sealer, Context: conductor.SecretContext}, Log: o.Log.With("part", "nodes"),
		CertificateLife: o.ComponentCertificateLife,
	})
	host, _, err := net.SplitHostPort(o.NodeListen)
	if err != nil {
		return nil, fmt.Errorf("address of the node API %q: %w", o.NodeListen, err)
	}
	config, err := nodeapi.TLSConfig(c.system, host)
	if err != nil {
		return nil, err
	}
	return nodes.HTTPServer(config), nil
}

// ImageName is the name under which the cloud knows the node OS image of the built-in templates.
const ImageName = "slipway-node"

// flavor is the size of the built-in templates' nodes: 2 processors and 4 GiB.
const flavor = "c1.c2r4"

// release dates the built-in templates.
const release = "20261121"
