package loadbalancer

import (
	"context"
	"net/netip"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// memberType is OS::Octavia::PoolMember: one backend.
type memberType struct{ b *Balancers }

func (memberType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "pool", Kind: cloud.String, Required: true},
		{Name: "address", Kind: cloud.String, Required: true},
		{Name: "protocol_port", Kind: cloud.Number, Required: true},
	}}
}

func (t memberType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Pool    string       `json:"pool"`
		Address netip.Addr   `json:"address"`
		Port    property.Int `json:"protocol_port"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if err := checkPort(req, int(p.Port)); err != nil {
		return cloud.Object{}, err
	}
	if !p.Address.Is4() {
		return cloud.Object{}, fault.Terminalf("resource %s: property address: %s is no IPv4 address", req.Name, p.Address)
	}
	v := memberRecord{meta: newMeta(kindMember, req, ""), Pool: p.Pool, Address: p.Address, Port: int(p.Port)}
	return put(ctx, t.b, kindMember, v.ID, func(tx *record.Tx) (memberRecord, string, error) {
		pool, err := find[poolRecord](tx, req, "pool", kindPool, p.Pool)
		if err != nil {
			return v, "", err
		}
		v.Balancer = pool.Balancer
		others, err := live[memberRecord](tx, kindMember)
		for _, o := range others {
			if o.ID != v.ID && o.Pool == v.Pool && o.Address == v.Address && o.Port == v.Port {
				return v, "", fault.Terminalf("resource %s: pool %s has the member %s:%d already", req.Name, pool.Name, v.Address, v.Port)
			}
		}
		return v, v.Balancer, err
	})
}

func (t memberType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.b, kindMember, record.ID(kindMember, req.Key),
		func(v *memberRecord) { v.Deleting = true },
		func(v memberRecord) error { return t.b.converge(ctx, v.Balancer) })
}
