package compute

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

const kindServer = "server"

// serverRecord is what a server is to be. What it is, the kernel knows.
type serverRecord struct {
	ID      string // record.ID of the request's key; also the machine id of the system in it
	Name    string
	Cluster string
	Stack   string
	Image   string
	System  Image // what Image meant when the server was created; a newer one does not change it
	Flavor  string
	Port    string
	KeyName string `json:",omitempty"`
	Volumes []attachment
	// Ignited is true from the moment when Ignition has applied the user data; never again after.
	Ignited bool
	// Built is true once the server has been powered on for the first time: from then on its
	// power is the operator's.
	Built bool
	// On is whether the server is to run.
	On bool
}

// attachment is a volume of a server and the path in it that it is mounted at.
type attachment struct {
	Volume string `json:"volume"`
	Path   string `json:"path"`
}

// serverType is OS::Nova::Server.
type serverType struct{ c *Compute }

func (serverType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String, Required: true},
			{Name: "image", Kind: cloud.String, Required: true},
			{Name: "flavor", Kind: cloud.String, Required: true},
			{Name: "port", Kind: cloud.String, Required: true},
			{Name: "user_data", Kind: cloud.String, Required: true},
			{Name: "key_name", Kind: cloud.String},
			{Name: "volumes", Kind: cloud.List},
		},
		Attributes: []string{"addresses"},
	}
}

func (t serverType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name     string       `json:"name"`
		Image    string       `json:"image"`
		Flavor   string       `json:"flavor"`
		Port     string       `json:"port"`
		UserData string       `json:"user_data"`
		KeyName  string       `json:"key_name"`
		Volumes  []attachment `json:"volumes"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	s := serverRecord{
		ID: record.ID(kindServer, req.Key), Name: p.Name, Cluster: req.Cluster, Stack: req.Stack, Image: p.Image,
		Flavor: p.Flavor, Port: p.Port, KeyName: p.KeyName, Volumes: p.Volumes, On: true,
	}
	var err error
	if s.System, err = t.c.check(ctx, req, s); err != nil {
		return cloud.Object{}, err
	}
	unlock, err := t.c.lock(ctx, s.ID)
	if err != nil {
		return cloud.Object{}, err
	}
	defer unlock()
	old, err := record.Get[serverRecord](t.c.Store, kindServer, s.ID)
	switch {
	case err == nil && old.Built:
		return t.c.object(ctx, old)
	case err == nil && old.Ignited:
		s.Ignited, s.System = true, old.System
	case err != nil && !errors.Is(err, record.ErrNotFound):
		return cloud.Object{}, err
	}
	if err := t.c.put(ctx, s); err != nil {
		return cloud.Object{}, err
	}
	if !s.Ignited {
		userData, err := t.c.UserData(ctx, p.UserData)
		if err != nil {
			return cloud.Object{}, fmt.Errorf("server %s: user data: %w", s.Name, err)
		}
		if err := t.c.provision(ctx, s, userData); err != nil {
			return cloud.Object{}, fmt.Errorf("server %s: %w", s.Name, err)
		}
		s.Ignited = true
		if err := t.c.put(ctx, s); err != nil {
			return cloud.Object{}, err
		}
	}
	if err := t.c.powerOn(ctx, s); err != nil {
		return cloud.Object{}, fmt.Errorf("server %s: %w", s.Name, err)
	}
	s.Built = true
	if err := t.c.put(ctx, s); err != nil {
		return cloud.Object{}, err
	}
	return t.c.object(ctx, s)
}

func (t serverType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindServer, req.Key)
	unlock, err := t.c.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := record.Get[serverRecord](t.c.Store, kindServer, id)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return err
	}
	s.ID = id // also of one that has no record: what there is of it goes by name
	return t.c.remove(ctx, s)
}

// check refuses what can never become a server, and returns the image that it boots from.
func (c *Compute) check(ctx context.Context, req cloud.Request, s serverRecord) (Image, error) {
	refuse := func(property string, err error) (Image, error) {
		if errors.Is(err, cloud.ErrNotFound) || errors.Is(err, record.ErrNotFound) {
			return Image{}, fault.Terminalf("resource %s: property %s: %w", req.Name, property, err)
		}
		return Image{}, err
	}
	if _, err := c.Flavor(ctx, s.Flavor); err != nil {
		return refuse("flavor", err)
	}
	image, err := c.Image(ctx, s.Image)
	if err != nil {
		return refuse("image", err)
	}
	if s.KeyName != "" {
		if _, err := c.Keypair(ctx, req.Project, s.KeyName); err != nil {
			return refuse("key_name", err)
		}
	}
	for _, a := range s.Volumes {
		if !path.IsAbs(a.Path) || path.Clean(a.Path) != a.Path || strings.ContainsAny(a.Path, ":\\\n") || strings.Count(a.Path, "/") < 2 {
			return Image{}, fault.Terminalf("resource %s: property volumes: %q is no absolute path for a mount", req.Name, a.Path)
		}
		if _, err := record.Get[volumeRecord](c.Store, kindVolume, a.Volume); err != nil {
			return refuse("volumes", err)
		}
	}
	return image, nil
}

func (c *Compute) put(ctx context.Context, s serverRecord) error {
	return c.Store.Update(ctx, func(tx *record.Tx) error { return tx.Put(kindServer, s.ID, s) })
}

// object is the server as templates see it: Nova's form of addresses, by network. The local
// cloud calls every network private.
func (c *Compute) object(ctx context.Context, s serverRecord) (cloud.Object, error) {
	e, err := c.Network.Endpoint(ctx, s.Port)
	if err != nil {
		return cloud.Object{}, fmt.Errorf("server %s: port %s: %w", s.Name, s.Port, err)
	}
	return cloud.Object{Physical: s.ID, Attributes: map[string]any{
		"addresses": map[string]any{"private": []any{map[string]any{
			"version": 4, "addr": e.Address.String(), "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": e.MAC,
		}}},
	}}, nil
}

// unitName names everything of the server on the host: its cgroup or unit, its machine, its
// network namespace.
func (c *Compute) unitName(id string) string { return c.unitPrefix() + record.Short(id) }
func (c *Compute) unitPrefix() string        { return c.Prefix + "-srv-" }

// place is where the files of a server are.
type place string

func (c *Compute) place(id string) place { return place(filepath.Join(c.Dir, "servers", id)) }

func (p place) root() string            { return filepath.Join(string(p), "root") }    // the overlay's mount point
func (p place) upper() string           { return filepath.Join(string(p), "upper") }   // what the server wrote
func (p place) work() string            { return filepath.Join(string(p), "work") }    // overlayfs's own
func (p place) variable() string        { return filepath.Join(string(p), "var") }     // its /var
func (p place) volumes() string         { return filepath.Join(string(p), "volumes") } // mount points by volume id
func (p place) volume(id string) string { return filepath.Join(p.volumes(), id) }
func (p place) console() string         { return filepath.Join(string(p), "console.log") } // output of nspawn and of process 1
func (p place) resolvConf() string      { return filepath.Join(string(p), "resolv.conf") }
