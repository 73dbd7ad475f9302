package compute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/launch/nspawn"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// Server is a server as an operator sees it.
type Server struct {
	ID, Name       string
	Cluster, Stack string
	Flavor         string
	Address        string // empty when the port is gone
	On             bool   // is to run
	Running        bool
	Init           int    // process id on the host of the server's process 1, 0 when it does not run
	Console        string // path of the log of its console
	Root           string // path of its root file system while it is powered on
}

// List returns all servers, sorted by name.
func (c *Compute) List(ctx context.Context) ([]Server, error) {
	records, err := record.List[serverRecord](c.Store, kindServer)
	if err != nil {
		return nil, err
	}
	servers := make([]Server, 0, len(records))
	for _, r := range records {
		s, err := c.describe(ctx, r)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID) })
	return servers, nil
}

func (c *Compute) describe(ctx context.Context, r serverRecord) (Server, error) {
	p := c.place(r.ID)
	s := Server{ID: r.ID, Name: r.Name, Cluster: r.Cluster, Stack: r.Stack, Flavor: r.Flavor, On: r.On, Console: p.console(), Root: p.root()}
	pids, err := c.Launcher.Processes(ctx, c.unitName(r.ID))
	if err != nil {
		return s, err
	}
	s.Running = len(pids) > 0
	s.Init, _ = launch.Init(pids)
	if e, err := c.Network.Endpoint(ctx, r.Port); err == nil {
		s.Address = e.Address.String()
	}
	return s, nil
}

// Find returns the server with that name or that beginning of its id, or an error that
// errors.Is(err, cloud.ErrNotFound). More than one match is an error as well.
func (c *Compute) Find(ctx context.Context, nameOrID string) (Server, error) {
	r, err := c.find(nameOrID)
	if err != nil {
		return Server{}, err
	}
	return c.describe(ctx, r)
}

func (c *Compute) find(nameOrID string) (serverRecord, error) {
	records, err := record.List[serverRecord](c.Store, kindServer)
	if err != nil {
		return serverRecord{}, err
	}
	matches := slices.DeleteFunc(records, func(r serverRecord) bool {
		return r.Name != nameOrID && (len(nameOrID) < 4 || !strings.HasPrefix(r.ID, nameOrID))
	})
	switch len(matches) {
	case 0:
		return serverRecord{}, fmt.Errorf("server %s: %w", nameOrID, cloud.ErrNotFound)
	case 1:
		return matches[0], nil
	}
	return serverRecord{}, fmt.Errorf("server %s: %d servers have that name; give the id of one, such as %s", nameOrID, len(matches), matches[0].ID)
}

// Start powers the named server on. One that runs is left alone.
func (c *Compute) Start(ctx context.Context, nameOrID string) error {
	return c.power(ctx, nameOrID, true, c.powerOn)
}

// Stop powers the named server off as its systemd sees fit, and after Config.Grace by force. It stays off
// until it is started, also over Restore.
func (c *Compute) Stop(ctx context.Context, nameOrID string) error {
	return c.power(ctx, nameOrID, false, func(ctx context.Context, s serverRecord) error { return c.powerOff(ctx, s, c.Grace) })
}

// Kill takes the power from the named server.
func (c *Compute) Kill(ctx context.Context, nameOrID string) error {
	return c.power(ctx, nameOrID, false, func(ctx context.Context, s serverRecord) error { return c.powerOff(ctx, s, 0) })
}

func (c *Compute) power(ctx context.Context, nameOrID string, on bool, turn func(context.Context, serverRecord) error) error {
	found, err := c.find(nameOrID)
	if err != nil {
		return err
	}
	unlock, err := c.lock(ctx, found.ID)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := record.Get[serverRecord](c.Store, kindServer, found.ID) // it may have changed while we waited
	if err != nil {
		return err
	}
	if !s.Built {
		return fmt.Errorf("server %s is still being created", s.Name)
	}
	s.On = on
	if err := c.put(ctx, s); err != nil {
		return err
	}
	if err := turn(ctx, s); err != nil {
		return fmt.Errorf("server %s: %w", s.Name, err)
	}
	return nil
}

// Restore powers on every server that is to run and does not, as after a reboot of the machine.
func (c *Compute) Restore(ctx context.Context) error {
	records, err := record.List[serverRecord](c.Store, kindServer)
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range records {
		if r.Built && r.On {
			failed = append(failed, c.Start(ctx, r.ID))
		}
	}
	return errors.Join(failed...)
}

// Sweep removes everything of this package on the host whose name begins with the prefix, and
// all files, whatever the records say. What it cannot remove it reports, and goes on.
func (c *Compute) Sweep(ctx context.Context) error {
	var failed []error
	names, err := c.Launcher.List(ctx, c.unitPrefix())
	failed = append(failed, err)
	for _, name := range names {
		failed = append(failed, c.Launcher.Stop(ctx, name, 0))
	}
	spaces, err := namespace.List()
	failed = append(failed, err)
	for _, name := range spaces {
		if strings.HasPrefix(name, c.unitPrefix()) {
			failed = append(failed, namespace.Delete(name))
		}
	}
	left, err := nspawn.Machines(c.unitPrefix() + "*")
	failed = append(failed, err)
	for _, name := range left {
		failed = append(failed, nspawn.ForgetMachine(name))
	}
	roots, err := filepath.Glob(c.place("*").root())
	failed = append(failed, err)
	for _, root := range roots {
		failed = append(failed, nspawn.ForgetRoot(root))
	}
	if err := unmountBelow(c.Dir); err != nil {
		return errors.Join(append(failed, err)...) // removing files would reach into what is mounted
	}
	failed = append(failed, os.RemoveAll(c.Dir))
	for _, kind := range []string{kindServer, kindVolume} {
		failed = append(failed, os.RemoveAll(filepath.Join(c.Store.Dir(), kind)))
	}
	return errors.Join(failed...)
}
