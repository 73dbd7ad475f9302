package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// self is the remote group that means the rule's own group.
const self = "self"

// rule lets something in. Egress is open.
type rule struct {
	Protocol    string       // tcp, udp, icmp or any
	Min, Max    int          // destination ports of tcp and udp, both 0 for all
	Prefix      netip.Prefix `json:",omitzero"` // of the source; with neither prefix nor group: any source
	RemoteGroup string       `json:",omitempty"`
}

// securityGroupType is OS::Neutron::SecurityGroup: ingress rules for the ports in the group.
// Creating it again with other rules changes them for all its ports.
type securityGroupType struct{ n *Network }

func (securityGroupType) Schema() cloud.Schema {
	return cloud.Schema{Properties: []cloud.Property{
		{Name: "name", Kind: cloud.String},
		{Name: "description", Kind: cloud.String},
		{Name: "rules", Kind: cloud.List},
	}}
}

type ruleProperty struct {
	Protocol    string       `json:"protocol"`
	Min         property.Int `json:"port_range_min"`
	Max         property.Int `json:"port_range_max"`
	Prefix      netip.Prefix `json:"remote_ip_prefix"`
	RemoteGroup string       `json:"remote_group"`
}

func (t securityGroupType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Rules       []ruleProperty `json:"rules"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	v := securityGroupRecord{meta: newMeta(kindSecurityGroup, req, p.Name)}
	for i, rp := range p.Rules {
		r, err := rp.rule()
		if err != nil {
			return cloud.Object{}, fault.Terminalf("resource %s: property rules: rule %d: %w", req.Name, i, err)
		}
		v.Rules = append(v.Rules, r)
	}
	var users []string
	err := t.n.Store.Update(ctx, func(tx *record.Tx) error {
		for _, r := range v.Rules {
			if r.RemoteGroup == "" || r.RemoteGroup == self {
				continue
			}
			if _, err := find[securityGroupRecord](tx, req, "rules", kindSecurityGroup, r.RemoteGroup); err != nil {
				return err
			}
		}
		ports, err := groupPorts(tx, v.ID)
		for _, port := range ports {
			users = append(users, port.Net)
		}
		return errors.Join(err, tx.Put(kindSecurityGroup, v.ID, v))
	})
	if err != nil {
		return cloud.Object{}, err
	}
	slices.Sort(users)
	for _, net := range slices.Compact(users) {
		if err := t.n.converge(ctx, net); err != nil {
			return cloud.Object{}, err
		}
	}
	return cloud.Object{Physical: v.ID}, nil
}

func (t securityGroupType) Delete(ctx context.Context, req cloud.Request) error {
	id := record.ID(kindSecurityGroup, req.Key)
	return remove(ctx, t.n, kindSecurityGroup, id, func(tx *record.Tx, v *securityGroupRecord) error {
		ports, err := groupPorts(tx, id)
		if err != nil {
			return err
		}
		if len(ports) > 0 {
			return fault.Retriablef("security group %s is in use by port %s: delete that first", v.Name, ports[0].Name)
		}
		v.Deleting = true
		return nil
	}, func(securityGroupRecord) error { return nil })
}

func groupPorts(r record.Reader, group string) ([]portRecord, error) {
	ports, err := record.List[portRecord](r, kindPort)
	return filter(ports, func(p portRecord) bool { return slices.Contains(p.Groups, group) }), err
}

// rule checks one rule as the template has it.
func (p ruleProperty) rule() (rule, error) {
	r := rule{Protocol: p.Protocol, Min: int(p.Min), Max: int(p.Max), Prefix: p.Prefix.Masked(), RemoteGroup: p.RemoteGroup}
	if r.Protocol == "" {
		r.Protocol = "any"
	}
	if r.Min == 0 {
		r.Min = r.Max
	}
	if r.Max == 0 {
		r.Max = r.Min
	}
	switch r.Protocol {
	case "tcp", "udp":
		if r.Min < 0 || r.Max > 65535 || r.Min > r.Max {
			return r, errors.New("port_range_min and port_range_max are no range between 1 and 65535")
		}
	case "icmp", "any":
		if r.Min != 0 || r.Max != 0 {
			return r, errors.New("port_range_min and port_range_max need protocol tcp or udp")
		}
	default:
		return r, errors.New("protocol " + r.Protocol + " is none of tcp, udp, icmp, any")
	}
	if r.Prefix.IsValid() && r.RemoteGroup != "" {
		return r, errors.New("remote_ip_prefix and remote_group exclude each other")
	}
	if r.Prefix.IsValid() && !r.Prefix.Addr().Is4() {
		return r, errors.New("remote_ip_prefix is not an IPv4 range")
	}
	return r, nil
}
