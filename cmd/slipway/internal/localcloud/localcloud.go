// Package localcloud acts on the local cloud of a state directory without slipwayd: it makes
// the external network before slipwayd listens there, shows and switches servers as a hand on
// the power button would, and sweeps everything away.
package localcloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/cloud/local"
	"slipway.build/slipway/controlplane/cloud/local/compute"
)

// Keypair is the keypair of the example's request, which Prepare makes.
const Keypair = "my_keypair"

// Cloud is the local cloud of one state directory.
type Cloud struct{ state string }

// New returns the local cloud of the state directory, an absolute path. It touches nothing.
func New(state string) *Cloud { return &Cloud{state} }

// Server is one server as it is on this machine.
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	State   string `json:"state"` // "active", "starting", "stopping" or "shutoff"
	Address string `json:"address"`
	PID     int    `json:"pid"` // of its first process, 0 when it is switched off
	Console string `json:"console"`
}

func (c *Cloud) open() (*local.Cloud, error) {
	return local.New(local.Config{State: c.state})
}

// Prepare makes the external network with this machine's address on it, and the example's
// keypair.
func (c *Cloud) Prepare(ctx context.Context) error {
	cloud, err := c.open()
	if err != nil {
		return err
	}
	if err := cloud.Network.EnsureExternal(ctx); err != nil {
		return err
	}
	_, _, err = cloud.Compute.EnsureKeypair(ctx, Keypair)
	return err
}

// Register makes the node OS image known under a name: its layers are directories, the
// topmost first, and init is the path in it of its first process.
func (c *Cloud) Register(ctx context.Context, name, init string, layers ...string) error {
	cloud, err := c.open()
	if err != nil {
		return err
	}
	return cloud.RegisterImage(ctx, name, compute.Image{Layers: layers, Init: init})
}

// Sweep removes everything of the local cloud from this machine, whatever its records say.
func (c *Cloud) Sweep(ctx context.Context) error {
	cloud, err := c.open()
	if err != nil {
		return err
	}
	return cloud.Sweep(ctx)
}

// Servers lists the servers by name.
func (c *Cloud) Servers(ctx context.Context) ([]Server, error) {
	all := []Server{}
	if _, err := os.Stat(filepath.Join(c.state, "cloud")); errors.Is(err, fs.ErrNotExist) {
		return all, nil // looking makes nothing
	}
	cloud, err := c.open()
	if err != nil {
		return nil, err
	}
	servers, err := cloud.Compute.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the servers: %w", err)
	}
	for _, s := range servers {
		all = append(all, Server{ID: s.ID, Name: s.Name, Cluster: s.Cluster, State: state(s), Address: s.Address, PID: s.Init, Console: s.Console})
	}
	return all, nil
}

// state says in a word what a server is to be and is.
func state(s compute.Server) string {
	switch {
	case s.On && s.Running:
		return "active"
	case s.On:
		return "starting"
	case s.Running:
		return "stopping"
	default:
		return "shutoff"
	}
}

// Start switches a server on.
func (c *Cloud) Start(ctx context.Context, server string) error {
	return c.power(ctx, server, (*compute.Compute).Start)
}

// Stop switches a server off in an orderly way.
func (c *Cloud) Stop(ctx context.Context, server string) error {
	return c.power(ctx, server, (*compute.Compute).Stop)
}

// Kill cuts a server's power.
func (c *Cloud) Kill(ctx context.Context, server string) error {
	return c.power(ctx, server, (*compute.Compute).Kill)
}

func (c *Cloud) power(ctx context.Context, server string, turn func(*compute.Compute, context.Context, string) error) error {
	cloud, err := c.open()
	if err != nil {
		return err
	}
	return turn(cloud.Compute, ctx, server)
}
