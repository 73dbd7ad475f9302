package network

import (
	"context"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/property"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// portType is OS::Neutron::Port: an address of a subnet with its security groups. Plug connects
// it to a namespace.
type portType struct{ n *Network }

func (portType) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String},
			{Name: "network", Kind: cloud.String, Required: true},
			{Name: "subnet", Kind: cloud.String, Required: true},
			{Name: "security_groups", Kind: cloud.List},
			{Name: "allowed_address_pairs", Kind: cloud.List},
		},
		Attributes: []string{"fixed_ip", "mac_address"},
	}
}

// pairProperty is an allowed address pair: {ip_address: range or address}, or just that string.
type pairProperty netip.Prefix

func (p *pairProperty) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		var m struct {
			IP string `json:"ip_address"`
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		s = m.IP
	}
	if a, err := netip.ParseAddr(s); err == nil {
		*p = pairProperty(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	*p = pairProperty(prefix.Masked())
	return err
}

func (t portType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var p struct {
		Name    string         `json:"name"`
		Network string         `json:"network"`
		Subnet  string         `json:"subnet"`
		Groups  []string       `json:"security_groups"`
		Pairs   []pairProperty `json:"allowed_address_pairs"`
	}
	if err := property.Decode(req, t.Schema(), &p); err != nil {
		return cloud.Object{}, err
	}
	spec := PortSpec{Name: p.Name, Network: p.Network, Subnet: p.Subnet, Groups: p.Groups}
	for _, pair := range p.Pairs {
		if !netip.Prefix(pair).Addr().Is4() {
			return cloud.Object{}, fault.Terminalf("resource %s: property allowed_address_pairs: %s is not an IPv4 range", req.Name, netip.Prefix(pair))
		}
		spec.Pairs = append(spec.Pairs, netip.Prefix(pair))
	}
	port, err := t.n.EnsurePort(ctx, req, spec)
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: port.ID, Attributes: map[string]any{
		"fixed_ip": port.Address.Addr().String(), "mac_address": port.MAC,
	}}, nil
}

func (t portType) Delete(ctx context.Context, req cloud.Request) error {
	return t.n.DeletePort(ctx, req.Key)
}

// Port is what the owner of a port has to know of it.
type Port struct {
	ID      string
	Address netip.Prefix // the fixed address with the subnet's length
	Gateway netip.Addr
	MAC     string
	DNS     []netip.Addr
}

// PortSpec is what a port has to be like.
type PortSpec struct {
	Name            string
	Network, Subnet string // Network may be empty: the subnet's
	Groups          []string
	Pairs           []netip.Prefix // further ranges that the port sends from and answers for
	Open            []int          // TCP ports open to all sources, besides what the groups let in
}

// EnsurePort makes the port that belongs to the request's key, or brings it to the spec, and
// returns when the security groups' rules for it are in force. Its address is the same whenever
// it is called again. References that do not exist are terminal faults.
func (n *Network) EnsurePort(ctx context.Context, req cloud.Request, spec PortSpec) (Port, error) {
	v := portRecord{meta: newMeta(kindPort, req, spec.Name), Subnet: spec.Subnet, Groups: spec.Groups, Pairs: spec.Pairs, Open: spec.Open}
	v.MAC = hardwareAddress(v.ID).String()
	slices.Sort(v.Groups)
	v.Groups = slices.Compact(v.Groups)
	var subnet subnetRecord
	err := n.Store.Update(ctx, func(tx *record.Tx) error {
		var err error
		if subnet, err = find[subnetRecord](tx, req, "subnet", kindSubnet, spec.Subnet); err != nil {
			return err
		}
		if v.Net = subnet.Net; spec.Network != "" && spec.Network != v.Net {
			return fault.Terminalf("resource %s: property subnet: %s is not of network %s", req.Name, spec.Subnet, spec.Network)
		}
		for _, g := range v.Groups {
			if _, err := find[securityGroupRecord](tx, req, "security_groups", kindSecurityGroup, g); err != nil {
				return err
			}
		}
		old, err := record.Get[portRecord](tx, kindPort, v.ID)
		switch {
		case err == nil && old.Subnet == v.Subnet:
			v.FixedIP = old.FixedIP
		case err == nil:
			return fault.Terminalf("resource %s: port %s cannot move to another subnet", req.Name, v.ID)
		case !isGone(err):
			return err
		default:
			if v.FixedIP, err = allocateFixed(tx, subnet); err != nil {
				return err
			}
		}
		if reflect.DeepEqual(old, v) {
			return nil
		}
		return tx.Put(kindPort, v.ID, v)
	})
	if err != nil {
		return Port{}, err
	}
	return v.public(subnet), n.converge(ctx, v.Net)
}

// DeletePort removes the port that EnsurePort made for that key, with its links, and gives its
// address back.
func (n *Network) DeletePort(ctx context.Context, key string) error {
	return remove(ctx, n, kindPort, record.ID(kindPort, key),
		func(_ *record.Tx, v *portRecord) error { v.Deleting = true; return nil },
		func(v portRecord) error {
			if err := n.converge(ctx, v.Net); err != nil {
				return err
			}
			return n.forgetFlows(v.Net, v.FixedIP)
		})
}

// Port returns the port with that id, or an error that errors.Is(err, record.ErrNotFound).
func (n *Network) Port(_ context.Context, id string) (Port, error) {
	v, subnet, err := n.loadPort(id)
	return v.public(subnet), err
}

func (n *Network) loadPort(id string) (portRecord, subnetRecord, error) {
	v, err := record.Get[portRecord](n.Store, kindPort, id)
	if err != nil {
		return v, subnetRecord{}, err
	}
	subnet, err := record.Get[subnetRecord](n.Store, kindSubnet, v.Subnet)
	return v, subnet, err
}

func (v portRecord) public(s subnetRecord) Port {
	return Port{ID: v.ID, Address: netip.PrefixFrom(v.FixedIP, s.CIDR.Bits()), Gateway: s.Gateway, MAC: v.MAC, DNS: s.DNS}
}
