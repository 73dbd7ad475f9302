package network

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// routerInterfaceType is OS::Neutron::RouterInterface: it connects a subnet's network to the
// external network. A router lives in the namespace of its network, so one router serves one
// network and one network has one router.
type routerInterfaceType struct{ n *Network }

func (routerInterfaceType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "router", Kind: cloud.String, Required: true},
		{Name: "subnet", Kind: cloud.String, Required: true},
	}}
}

func (t routerInterfaceType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Router string `json:"router"`
		Subnet string `json:"subnet"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	v := routerInterfaceRecord{meta: newMeta(kindRouterInterface, req, ""), Router: p.Router, Subnet: p.Subnet}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		if _, err := find[routerRecord](tx, req, "router", kindRouter, p.Router); err != nil {
			return err
		}
		subnet, err := find[subnetRecord](tx, req, "subnet", kindSubnet, p.Subnet)
		if err != nil {
			return err
		}
		v.Net = subnet.Net
		others, err := record.List[routerInterfaceRecord](tx, kindRouterInterface)
		if err != nil {
			return err
		}
		for _, o := range others {
			if o.ID == v.ID {
				continue
			}
			if o.Net == v.Net && o.Router != v.Router {
				return fault.Terminalf("resource %s: network %s is connected to router %s already; the local cloud has one router a network", req.Name, v.Net, o.Router)
			}
			if o.Router == v.Router && o.Net != v.Net {
				return fault.Terminalf("resource %s: router %s serves network %s already; the local cloud has one network a router", req.Name, v.Router, o.Net)
			}
		}
		return tx.Put(kindRouterInterface, v.ID, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: v.ID}, t.n.converge(ctx, v.Net)
}

func (t routerInterfaceType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.n, kindRouterInterface, record.ID(kindRouterInterface, req.Key),
		func(_ *record.Tx, v *routerInterfaceRecord) error { v.Deleting = true; return nil },
		func(v routerInterfaceRecord) error { return t.n.converge(ctx, v.Net) })
}
