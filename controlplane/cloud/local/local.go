package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/compute"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/loadbalancer"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/imagebuild/ignition"
)

// Config is what the local cloud needs. State is required.
type Config struct {
	// State is Slipway's state directory; everything of the cloud is in its directory cloud.
	State string
	// Prefix begins the names of all that is made on this machine. Default "slip".
	Prefix string
	// External is the range of the external network. Default 172.29.0.0/16.
	External netip.Prefix
	// UserData resolves the property user_data of a server when it is a reference. Default: it is taken as it is.
	UserData func(ctx context.Context, property string) ([]byte, error)
	Log      *slog.Logger // default: discards
}

// Cloud is the cloud of this machine. It is safe for concurrent use, by several processes too.
type Cloud struct {
	Network *network.Network
	Compute *compute.Compute
	Balance *loadbalancer.Balancers
	store   *record.Store
	types   map[string]cloud.Type
}

// Cloud is a driver.
var _ cloud.Driver = (*Cloud)(nil)

// New returns the local cloud of a state directory. It touches nothing but that directory yet.
func New(cfg Config) (*Cloud, error) {
	if !filepath.IsAbs(cfg.State) {
		return nil, fmt.Errorf("local cloud: state directory %q is no absolute path", cfg.State)
	}
	dir := filepath.Join(cfg.State, "cloud")
	store, err := record.Open(dir)
	if err != nil {
		return nil, err
	}
	net, err := network.New(network.Config{Store: store, Prefix: cfg.Prefix, External: cfg.External, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	launcher, err := launch.Detect()
	if err != nil {
		return nil, err
	}
	c := &Cloud{Network: net, store: store, types: map[string]cloud.Type{}}
	c.Compute, err = compute.New(compute.Config{
		Store: store, Dir: filepath.Join(dir, "compute"), Prefix: cfg.Prefix, Launcher: launcher, Network: plugger{net},
		Ignition: ignition.Runner{}, Image: c.image, UserData: cfg.UserData, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	c.Balance, err = loadbalancer.New(loadbalancer.Config{Store: store, Network: net, Launcher: launcher, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	for _, types := range []map[string]cloud.Type{net.Types(), c.Compute.Types(), c.Balance.Types()} {
		maps.Copy(c.types, types)
	}
	return c, nil
}

// Type implements cloud.Driver.
func (c *Cloud) Type(name string) (cloud.Type, bool) {
	t, ok := c.types[name]
	return t, ok
}

// Keypair implements cloud.Driver.
func (c *Cloud) Keypair(ctx context.Context, project, name string) (string, error) {
	return c.Compute.Keypair(ctx, project, name)
}

// Flavor implements cloud.Driver.
func (c *Cloud) Flavor(ctx context.Context, nameOrID string) (cloud.Flavor, error) {
	return c.Compute.Flavor(ctx, nameOrID)
}

// Restore brings networks, load balancers and servers back to what the records say: after a reboot of the
// machine, or after somebody removed something by hand.
func (c *Cloud) Restore(ctx context.Context) error {
	if err := c.Network.Restore(ctx); err != nil {
		return err
	}
	return errors.Join(c.Balance.Restore(ctx), c.Compute.Restore(ctx))
}

// tending is how often Tend looks.
const tending = 5 * time.Second

// Tend keeps running what a real cloud keeps running without being asked: it starts load balancers again whose
// process has died. It returns when ctx ends.
func (c *Cloud) Tend(ctx context.Context) { c.Balance.Tend(ctx, tending) }

// Sweep removes everything of the local cloud from this machine, whatever the records say; only the images
// stay. What it cannot remove it reports, and goes on.
func (c *Cloud) Sweep(ctx context.Context) error {
	return errors.Join(c.Compute.Sweep(ctx), c.Balance.Sweep(ctx), c.Network.Sweep(ctx))
}
