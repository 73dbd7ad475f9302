// Package serve puts the control plane's parts together and runs them until told to end.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Options are the flags of `slipwayd serve`.
type Options struct {
	State                              string
	Listen, NodeListen, RegistryListen string // host:port
	Parallel                           int
	// Lives; all are set.
	NodeCertificateLife, ComponentCertificateLife, PlanLife, PlanKeyLife time.Duration
	Log                                                                  *slog.Logger
}

// leastLife is the shortest life that may be asked for: what lives shorter is renewed all the time.
const leastLife = 10 * time.Second

// Check refuses options that make no sense.
func (o Options) Check() error {
	for _, life := range []struct {
		flag  string
		value time.Duration
	}{
		{"node-certificate-life", o.NodeCertificateLife}, {"component-certificate-life", o.ComponentCertificateLife},
		{"plan-life", o.PlanLife}, {"plan-key-life", o.PlanKeyLife},
	} {
		if life.value < leastLife {
			return fmt.Errorf("--%s %s: at least %s", life.flag, life.value, leastLife)
		}
	}
	return nil
}

// grace is how long calls in progress may take to end at a shutdown.
const grace = 5 * time.Second

// Run serves until ctx ends. What was accepted and is not finished goes on at the next Run.
func Run(ctx context.Context, o Options) error {
	if err := identity.CheckListen(o.Listen); err != nil {
		return err
	}
	control := filepath.Join(o.State, "control")
	s, err := store.Open(ctx, filepath.Join(control, "slipway.db"), store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	sealer, err := store.OpenSealer(filepath.Join(control, "sealing.key"))
	if err != nil {
		return err
	}
	records := pki.NewStoreRecords(s)
	system, err := pki.OpenSystem(ctx, records, sealer, time.Now)
	if err != nil {
		return err
	}
	system.NodeLife = o.NodeCertificateLife
	authorities := pki.NewAuthorities(records, sealer, time.Now)
	trust, err := readTrust(o.State, o.RegistryListen)
	if err != nil {
		return err
	}
	cloud, err := local.New(local.Config{State: o.State, Log: o.Log.With("part", "cloud")})
	if err != nil {
		return err
	}
	if err := cloud.Restore(ctx); err != nil {
		return fmt.Errorf("bring the local cloud back to what its records say: %w", err)
	}
	kubernetes, err := kubernetesVersion(trust)
	if err != nil {
		return err
	}
	if err := api.SeedTemplates(ctx, s, api.Certified{
		Kubernetes: kubernetes, Release: release,
		Image: ImageName, Flavor: flavor, Master: flavor, External: cloud.Network.Bridge(),
	}); err != nil {
		return err
	}
	types := conductor.Types{
		Store: s, Sealer: sealer, Authorities: authorities, Plans: system.Plans, Trust: trust, Cloud: cloud, PlanLife: o.PlanLife,
		UserData: conductor.NodeData{
			Store: s, Sealer: sealer, ControlPlane: "https://" + o.NodeListen, CA: system.PEM(), Keypair: cloud.Keypair,
		},
	}
	orchestra := engine.New(s, types.Type, engine.Options{Parallel: o.Parallel, Log: o.Log.With("part", "engine")})

	desk := &actions.Desk{
		Store: s, Signer: system.Plans, Archives: &actions.Archives{Dir: filepath.Join(control, "archives")},
		Now: time.Now, Log: o.Log.With("part", "actions"),
	}
	tenants := http.NewServeMux()
	none := identity.NewNone()
	tenants.Handle("/heat/", heatapi.New(heatapi.Config{Store: s, Queries: orchestra, Identity: none, Prefix: "/heat", Log: o.Log}))
	tenants.Handle("/slipway/", slipwayapi.New(slipwayapi.Config{
		Store: s, Desk: desk, Images: conductor.Ahead{Store: s, Trust: trust}, Identity: none, Log: o.Log,
	}))
	tenants.Handle("/", api.New(api.Config{Store: s, Cloud: cloud, Authorities: authorities, Identity: none, Log: o.Log}))

	nodes := nodeapi.New(nodeapi.Config{
		Actions: desk,
		Store:   s, System: system, Authorities: authorities, Profiles: conductor.Profiles{Store: s}, Locks: trust,
		Secrets: nodeapi.StoreSecrets{Store: s, Sealer: sealer, Context: conductor.SecretContext}, Log: o.Log.With("part", "nodes"),
		CertificateLife: o.ComponentCertificateLife,
	})
	host, _, err := net.SplitHostPort(o.NodeListen)
	if err != nil {
		return fmt.Errorf("address of the node API %q: %w", o.NodeListen, err)
	}
	config, err := nodeapi.TLSConfig(system, host)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// Answers have no limit in time: some wait for events.
	serve(ctx, group, o.Listen, &http.Server{
		Handler: tenants, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}, false)
	serve(ctx, group, o.NodeListen, nodes.HTTPServer(config), true)
	serve(ctx, group, o.RegistryListen, &http.Server{
		Handler: registry.New(filepath.Join(o.State, "registry")), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}, false)
	group.Go(func() error {
		name, err := os.Hostname()
		if err != nil {
			name = "conductor"
		}
		c := conductor.Conductor{Store: s, Engine: orchestra, Sealer: sealer, Name: name, Log: o.Log.With("part", "conductor")}
		return c.Run(ctx)
	})
	group.Go(func() error { cloud.Tend(ctx); return nil })
	group.Go(func() error { return desk.Run(ctx) })
	group.Go(func() error { tendPlanKeys(ctx, system.Plans, o.PlanKeyLife, o.Log.With("part", "keys")); return nil })
	o.Log.Info("slipwayd serves", "tenants", o.Listen, "nodes", o.NodeListen, "registry", o.RegistryListen, "state", o.State, "lock", trust.Digest)
	return group.Wait()
}

// serve runs a server until ctx ends, then lets its calls in progress end.
func serve(ctx context.Context, group *errgroup.Group, address string, server *http.Server, encrypted bool) {
	group.Go(func() error {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			if server.Shutdown(within) != nil {
				server.Close()
			}
		})
		defer stop()
		if encrypted {
			err = server.ServeTLS(listener, "", "")
		} else {
			err = server.Serve(listener)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve %s: %w", address, err)
	})
}

// ImageName is the name under which the cloud knows the node OS image of the built-in templates.
const ImageName = "slipway-node"

// flavor is the size of the built-in templates' nodes: 2 processors and 4 GiB.
const flavor = "c1.c2r4"

// release dates the built-in templates.
const release = "20261121"

// kubernetesVersion is the version of the node components in the lock.
func kubernetesVersion(t conductor.Trust) (string, error) {
	for _, image := range t.Locked.Images {
		if image.Name == "kubelet" {
			return image.Version, nil
		}
	}
	return "", errors.New("the lock holds no kubelet: no cluster can be made from it")
}
