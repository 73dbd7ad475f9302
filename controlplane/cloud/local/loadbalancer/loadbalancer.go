package loadbalancer

import (
	"context"
	"errors"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// balancerType is OS::Octavia::LoadBalancer. With security groups these alone say who may reach
// it; without, its listeners' ports are open to all, as in Octavia.
type balancerType struct{ b *Balancers }

func (balancerType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String},
			{Name: "subnet", Kind: cloud.String, Required: true},
			{Name: "security_groups", Kind: cloud.List},
		},
		Attributes: []string{"vip_address", "vip_port"},
	}
}

func (t balancerType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name   string   `json:"name"`
		Subnet string   `json:"subnet"`
		Groups []string `json:"security_groups"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	v := balancerRecord{meta: newMeta(kindBalancer, req, p.Name), Key: req.Key, Subnet: p.Subnet, Groups: p.Groups}
	v.Balancer = v.ID
	// The record comes before the port, so that Delete knows of both.
	err := t.b.Store.Update(ctx, func(tx *record.Tx) error {
		old, err := record.Get[balancerRecord](tx, kindBalancer, v.ID)
		if err == nil {
			if old.Subnet != v.Subnet {
				return fault.Terminalf("resource %s: a load balancer cannot move to another subnet", req.Name)
			}
			v.Address, v.Started = old.Address, old.Started
		} else if !errors.Is(err, record.ErrNotFound) {
			return err
		}
		return tx.Put(kindBalancer, v.ID, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	port, err := t.b.port(ctx, v, nil)
	if err != nil {
		return cloud.Object{}, err
	}
	if v.Address != port.Address.Addr() {
		err = t.b.Store.Update(ctx, func(tx *record.Tx) error {
			v.Address = port.Address.Addr()
			return tx.Put(kindBalancer, v.ID, v)
		})
		if err != nil {
			return cloud.Object{}, err
		}
	}
	return cloud.Object{Physical: v.ID, Attributes: map[string]any{
		"vip_address": port.Address.Addr().String(), "vip_port": port.ID,
	}}, t.b.converge(ctx, v.ID)
}

// port brings the balancer's port to what it has to be with these listeners.
func (b *Balancers) port(ctx context.Context, v balancerRecord, listeners []listenerRecord) (network.Port, error) {
	spec := network.PortSpec{Name: v.Name + "-vip", Subnet: v.Subnet, Groups: v.Groups}
	if len(v.Groups) == 0 {
		for _, l := range listeners {
			spec.Open = append(spec.Open, l.Port)
		}
	}
	return b.Network.EnsurePort(ctx, cloud.Request{Key: v.Key, Cluster: v.Cluster, Name: v.Name}, spec)
}

func (t balancerType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.b, kindBalancer, record.ID(kindBalancer, req.Key),
		func(v *balancerRecord) { v.Deleting = true },
		func(v balancerRecord) error {
			if err := t.b.converge(ctx, v.ID); err != nil {
				return err
			}
			return t.b.Network.DeletePort(ctx, v.Key)
		})
}
