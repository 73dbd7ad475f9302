package conductor

import (
	"context"

	"slipway.build/slipway/controlplane/cloud"
)

// switcher is Magnum::FloatingIPAddressSwitcher: the address at which tenants reach the API,
// the public one where there is one.
type switcher struct{}

func (switcher) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "public_ip", Kind: cloud.String},
			{Name: "private_ip", Kind: cloud.String, Required: true},
		},
		Attributes: []string{"ip_address"},
	}
}

func (switcher) Create(_ context.Context, req cloud.Request) (cloud.Object, error) {
	address := text(req, "public_ip")
	if address == "" {
		address = text(req, "private_ip")
	}
	return cloud.Object{Physical: req.Key, Attributes: map[string]any{"ip_address": address}}, nil
}

func (switcher) Delete(context.Context, cloud.Request) error { return nil }
