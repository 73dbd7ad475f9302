// Package localcloud acts on the local cloud of a state directory without slipwayd: it makes
// the external network before slipwayd listens there, shows and switches servers as a hand on
// the power button would, and sweeps everything away.
package localcloud

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// Cloud is the local cloud of one state directory.
type Cloud struct{ state string }

// New returns the local cloud of the state directory. It touches nothing yet.
func New(state string) *Cloud { return &Cloud{state} }

// Server is one server as it is on this machine.
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	State   string `json:"state"` // "active" or "shutoff"
	Address string `json:"address"`
	PID     int    `json:"pid"` // of its first process, 0 when it is switched off
}

func (c *Cloud) network() (*network.Network, error) {
	store, err := record.Open(filepath.Join(c.state, "cloud"))
	if err != nil {
		return nil, fmt.Errorf("open the local cloud's records: %w", err)
	}
	return network.New(network.Config{Store: store})
}

// Prepare makes the external network with this machine's address on it.
func (c *Cloud) Prepare(ctx context.Context) error {
	n, err := c.network()
	if err != nil {
		return err
	}
	return n.EnsureExternal(ctx)
}

// Sweep removes everything of the local cloud from this machine.
func (c *Cloud) Sweep(ctx context.Context) error {
	n, err := c.network()
	if err != nil {
		return err
	}
	return errors.Join(n.Sweep(ctx))
}

// Servers lists the servers by name.
func (c *Cloud) Servers(context.Context) ([]Server, error) { return []Server{}, nil }

// Start switches a server on.
func (c *Cloud) Start(context.Context, string) error { return errors.New("not yet") }

// Stop switches a server off in an orderly way.
func (c *Cloud) Stop(context.Context, string) error { return errors.New("not yet") }

// Kill cuts a server's power.
func (c *Cloud) Kill(context.Context, string) error { return errors.New("not yet") }
