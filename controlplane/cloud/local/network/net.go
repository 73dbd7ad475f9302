package network

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// netType is OS::Neutron::Net: a network without addresses yet.
type netType struct{ n *Network }

func (netType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{{Name: "name", Kind: cloud.String}}}
}

func (t netType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name string `json:"name"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	v := netRecord{newMeta(kindNet, req, p.Name)}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error { return tx.Put(kindNet, v.ID, v) })
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: v.ID}, t.n.converge(ctx, v.ID)
}

func (t netType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindNet, req.Key)
	return remove(ctx, t.n, kindNet, id, func(tx *record.Tx, v *netRecord) error {
		subnets, err := record.List[subnetRecord](tx, kindSubnet)
		if err != nil {
			return err
		}
		for _, s := range subnets {
			if s.Net == id {
				return fault.Retriablef("network %s is in use by subnet %s: delete that first", v.Name, s.Name)
			}
		}
		v.Deleting = true
		return nil
	}, func(netRecord) error { return t.n.converge(ctx, id) })
}
