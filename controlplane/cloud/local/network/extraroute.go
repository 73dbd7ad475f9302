package network

import (
	"context"
	"net/netip"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// extraRouteType is OS::Neutron::ExtraRoute: what the router sends on to one of the network's
// addresses, such as the pods of a node.
type extraRouteType struct{ n *Network }

func (extraRouteType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "router", Kind: cloud.String, Required: true},
		{Name: "destination", Kind: cloud.String, Required: true},
		{Name: "nexthop", Kind: cloud.String, Required: true},
	}}
}

func (t extraRouteType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Router      string       `json:"router"`
		Destination netip.Prefix `json:"destination"`
		Nexthop     netip.Addr   `json:"nexthop"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if p.Destination != p.Destination.Masked() || !p.Destination.Addr().Is4() || p.Destination.Bits() == 0 {
		return cloud.Object{}, fault.Terminalf("resource %s: property destination: %s is not an IPv4 range with no bit set below its mask", req.Name, p.Destination)
	}
	v := extraRouteRecord{meta: newMeta(kindExtraRoute, req, ""), Router: p.Router, Destination: p.Destination, Nexthop: p.Nexthop}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		if _, err := find[routerRecord](tx, req, "router", kindRouter, p.Router); err != nil {
			return err
		}
		if err := checkNexthop(tx, req, v); err != nil {
			return err
		}
		others, err := live[extraRouteRecord](tx, kindExtraRoute)
		if err != nil {
			return err
		}
		for _, o := range others {
			if o.ID != v.ID && o.Router == v.Router && o.Destination == v.Destination {
				return fault.Terminalf("resource %s: router %s sends %s to %s already", req.Name, v.Router, v.Destination, o.Nexthop)
			}
		}
		return tx.Put(kindExtraRoute, v.ID, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: v.ID}, t.n.convergeRouter(ctx, v.Router)
}

func (t extraRouteType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.n, kindExtraRoute, record.ID(kindExtraRoute, req.Key),
		func(_ *record.Tx, v *extraRouteRecord) error { v.Deleting = true; return nil },
		func(v extraRouteRecord) error { return t.n.convergeRouter(ctx, v.Router) })
}

// checkNexthop refuses a next hop outside the subnets of the router's network. A route of a
// router that is not connected yet is not judged; it takes effect when it can.
func checkNexthop(r record.Reader, req cloud.Request, v extraRouteRecord) error {
	interfaces, err := live[routerInterfaceRecord](r, kindRouterInterface)
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Router != v.Router {
			continue
		}
		t, err := loadTopology(r, i.Net)
		if err != nil {
			return err
		}
		if !t.reaches(v.Nexthop) {
			return fault.Terminalf("resource %s: property nexthop: %s is in no subnet of the router's network", req.Name, v.Nexthop)
		}
	}
	return nil
}
