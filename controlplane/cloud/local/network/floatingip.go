package network

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// floatingIPType is OS::Neutron::FloatingIP: an address of the external network that stands for
// a port's. It works from the moment the port's network has a router.
type floatingIPType struct{ n *Network }

func (floatingIPType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "external_network", Kind: cloud.String, Required: true},
			{Name: "port", Kind: cloud.String},
		},
		Attributes: []string{"floating_ip_address"},
	}
}

func (t floatingIPType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		External string `json:"external_network"`
		Port     string `json:"port"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if err := t.n.checkExternal(req, p.External); err != nil {
		return cloud.Object{}, err
	}
	v := floatingIPRecord{meta: newMeta(kindFloatingIP, req, ""), Port: p.Port}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		others, err := record.List[floatingIPRecord](tx, kindFloatingIP)
		if err != nil {
			return err
		}
		for _, o := range others {
			switch {
			case o.ID == v.ID:
				v.Address = o.Address
			case p.Port != "" && o.Port == p.Port:
				return fault.Terminalf("resource %s: port %s has the floating IP %s already", req.Name, p.Port, o.Address)
			}
		}
		if p.Port != "" {
			port, err := find[portRecord](tx, req, "port", kindPort, p.Port)
			if err != nil {
				return err
			}
			v.Net = port.Net
		}
		if !v.Address.IsValid() {
			if v.Address, err = t.n.allocateExternal(tx); err != nil {
				return err
			}
		}
		return tx.Put(kindFloatingIP, v.ID, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	object := cloud.Object{Physical: v.ID, Attributes: map[string]any{"floating_ip_address": v.Address.String()}}
	if v.Net == "" {
		return object, nil
	}
	return object, t.n.converge(ctx, v.Net)
}

func (t floatingIPType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.n, kindFloatingIP, record.ID(kindFloatingIP, req.Key),
		func(_ *record.Tx, v *floatingIPRecord) error { v.Deleting = true; return nil },
		func(v floatingIPRecord) error {
			if v.Net == "" {
				return nil
			}
			if err := t.n.converge(ctx, v.Net); err != nil {
				return err
			}
			return t.n.forgetFlows(v.Net, v.Address)
		})
}
