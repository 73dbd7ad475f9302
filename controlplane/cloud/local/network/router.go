package network

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// routerType is OS::Neutron::Router: an address in the external network, behind which a network
// hides once an interface connects them.
type routerType struct{ n *Network }

func (routerType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String},
			{Name: "external_network", Kind: cloud.String, Required: true},
		},
		Attributes: []string{"external_ip"},
	}
}

func (t routerType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name     string `json:"name"`
		External string `json:"external_network"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	if err := t.n.checkExternal(req, p.External); err != nil {
		return cloud.Object{}, err
	}
	v := routerRecord{meta: newMeta(kindRouter, req, p.Name)}
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		old, err := record.Get[routerRecord](tx, kindRouter, v.ID)
		switch {
		case err == nil:
			v = old
			return nil
		case !isGone(err):
			return err
		}
		if v.External, err = t.n.allocateExternal(tx); err != nil {
			return err
		}
		return tx.Put(kindRouter, v.ID, v)
	})
	return cloud.Object{Physical: v.ID, Attributes: map[string]any{"external_ip": v.External.String()}}, err
}

func (t routerType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindRouter, req.Key)
	return remove(ctx, t.n, kindRouter, id, func(tx *record.Tx, v *routerRecord) error {
		interfaces, err := record.List[routerInterfaceRecord](tx, kindRouterInterface)
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			if i.Router == id {
				return fault.Retriablef("router %s is in use by router interface %s: delete that first", v.Name, i.Name)
			}
		}
		v.Deleting = true
		return nil
	}, func(routerRecord) error { return nil })
}
