package loadbalancer

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// listenerType is OS::Octavia::Listener: a TCP port of a load balancer.
type listenerType struct{ b *Balancers }

func (listenerType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "name", Kind: cloud.String},
		{Name: "loadbalancer", Kind: cloud.String, Required: true},
		{Name: "protocol", Kind: cloud.String, Default: "TCP"},
		{Name: "protocol_port", Kind: cloud.Number, Required: true},
	}}
}

func (t listenerType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name     string       `json:"name"`
		Balancer string       `json:"loadbalancer"`
		Protocol string       `json:"protocol"`
		Port     property.Int `json:"protocol_port"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if err := checkProtocol(req, p.Protocol); err != nil {
		return cloud.Object{}, err
	}
	if err := checkPort(req, int(p.Port)); err != nil {
		return cloud.Object{}, err
	}
	v := listenerRecord{meta: newMeta(kindListener, req, p.Name), Protocol: p.Protocol, Port: int(p.Port)}
	v.Balancer = p.Balancer
	return put(ctx, t.b, kindListener, v.ID, func(tx *record.Tx) (listenerRecord, string, error) {
		if _, err := find[balancerRecord](tx, req, "loadbalancer", kindBalancer, p.Balancer); err != nil {
			return v, "", err
		}
		others, err := live[listenerRecord](tx, kindListener)
		for _, o := range others {
			if o.ID != v.ID && o.Balancer == v.Balancer && o.Port == v.Port {
				return v, "", fault.Terminalf("resource %s: property protocol_port: listener %s has port %d already", req.Name, o.Name, v.Port)
			}
		}
		return v, v.Balancer, err
	})
}

func (t listenerType) Delete(ctx context.Context, req cloud.Request) error {
	return remove(ctx, t.b, kindListener, record.ID(kindListener, req.Key),
		func(v *listenerRecord) { v.Deleting = true },
		func(v listenerRecord) error { return t.b.converge(ctx, v.Balancer) })
}

func checkProtocol(req cloud.Request, protocol string) error {
	if protocol != "TCP" && protocol != "HTTPS" { // both pass the bytes through
		return fault.Terminalf("resource %s: property protocol: %q is neither TCP nor HTTPS", req.Name, protocol)
	}
	return nil
}

func checkPort(req cloud.Request, port int) error {
	if port < 1 || port > 65535 {
		return fault.Terminalf("resource %s: property protocol_port: %d is not between 1 and 65535", req.Name, port)
	}
	return nil
}
