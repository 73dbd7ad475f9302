package network

import (
	"context"
	"errors"
	"net/netip"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// subnetType is OS::Neutron::Subnet: an IPv4 range of a network, whose gateway address lies on
// the network's bridge whether or not a router is connected.
type subnetType struct{ n *Network }

func (subnetType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String},
			{Name: "network", Kind: cloud.String, Required: true},
			{Name: "cidr", Kind: cloud.String, Required: true},
			{Name: "gateway_ip", Kind: cloud.String},
			{Name: "dns_nameservers", Kind: cloud.List},
		},
		Attributes: []string{"cidr", "gateway_ip"},
	}
}

func (t subnetType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name    string       `json:"name"`
		Network string       `json:"network"`
		CIDR    netip.Prefix `json:"cidr"`
		Gateway netip.Addr   `json:"gateway_ip"`
		DNS     []netip.Addr `json:"dns_nameservers"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if p.CIDR != p.CIDR.Masked() || !p.CIDR.Addr().Is4() || p.CIDR.Bits() > 30 || p.CIDR.Bits() < 8 {
		return cloud.Object{}, fault.Terminalf("resource %s: property cidr: %s is not an IPv4 range between /8 and /30 with no bit set below its mask", req.Name, p.CIDR)
	}
	if p.CIDR.Overlaps(t.n.External) {
		return cloud.Object{}, fault.Terminalf("resource %s: property cidr: %s overlaps the external network %s", req.Name, p.CIDR, t.n.External)
	}
	if !p.Gateway.IsValid() {
		p.Gateway = p.CIDR.Addr().Next()
	}
	if !p.CIDR.Contains(p.Gateway) || p.Gateway == p.CIDR.Addr() || p.Gateway == broadcast(p.CIDR) {
		return cloud.Object{}, fault.Terminalf("resource %s: property gateway_ip: %s is no host address of %s", req.Name, p.Gateway, p.CIDR)
	}
	v := subnetRecord{meta: newMeta(kindSubnet, req, p.Name), Net: p.Network, CIDR: p.CIDR, Gateway: p.Gateway, DNS: p.DNS}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		if _, err := find[netRecord](tx, req, "network", kindNet, p.Network); err != nil {
			return err
		}
		others, err := live[subnetRecord](tx, kindSubnet)
		if err != nil {
			return err
		}
		for _, o := range others {
			if o.ID == v.ID {
				v.Last = o.Last
			} else if o.Net == v.Net && o.CIDR.Overlaps(v.CIDR) {
				return fault.Terminalf("resource %s: property cidr: %s overlaps %s of subnet %s in the same network", req.Name, v.CIDR, o.CIDR, o.Name)
			}
		}
		return tx.Put(kindSubnet, v.ID, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: v.ID, Attributes: map[string]any{
		"cidr": v.CIDR.String(), "gateway_ip": v.Gateway.String(),
	}}, t.n.converge(ctx, v.Net)
}

func (t subnetType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindSubnet, req.Key)
	return remove(ctx, t.n, kindSubnet, id, func(tx *record.Tx, v *subnetRecord) error {
		ports, err := record.List[portRecord](tx, kindPort)
		if err != nil {
			return err
		}
		for _, p := range ports {
			if p.Subnet == id {
				return fault.Retriablef("subnet %s is in use by port %s: delete that first", v.Name, p.Name)
			}
		}
		interfaces, err := record.List[routerInterfaceRecord](tx, kindRouterInterface)
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			if i.Subnet == id {
				return fault.Retriablef("subnet %s is in use by router interface %s: delete that first", v.Name, i.Name)
			}
		}
		v.Deleting = true
		return nil
	}, func(v subnetRecord) error { return t.n.converge(ctx, v.Net) })
}

// isGone reports whether err says that there is no such record.
func isGone(err error) bool { return errors.Is(err, record.ErrNotFound) }
