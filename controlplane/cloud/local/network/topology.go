package network

import (
	"net/netip"
	"slices"

	"slipway.build/slipway/controlplane/cloud/local/record"
)

// topology is all that the contents of one network's namespace follow from: live records only.
type topology struct {
	Net         netRecord
	Subnets     []subnetRecord
	Router      *routerRecord // nil when none is connected
	Routes      []extraRouteRecord
	Ports       []portRecord
	Groups      []securityGroupRecord
	FloatingIPs []floatingIPRecord // of these ports, and only with a router
}

// loadTopology reads the records of a network. It is an error that errors.Is(err,
// record.ErrNotFound) when there is none.
func loadTopology(r record.Reader, netID string) (topology, error) {
	var t topology
	var err error
	if t.Net, err = record.Get[netRecord](r, kindNet, netID); err != nil {
		return t, err
	}
	if t.Subnets, err = live[subnetRecord](r, kindSubnet); err != nil {
		return t, err
	}
	t.Subnets = filter(t.Subnets, func(s subnetRecord) bool { return s.Net == netID })
	if t.Ports, err = live[portRecord](r, kindPort); err != nil {
		return t, err
	}
	t.Ports = filter(t.Ports, func(p portRecord) bool { return p.Net == netID })
	if t.Groups, err = live[securityGroupRecord](r, kindSecurityGroup); err != nil {
		return t, err
	}
	t.Groups = usedGroups(t.Ports, t.Groups)
	interfaces, err := live[routerInterfaceRecord](r, kindRouterInterface)
	if err != nil {
		return t, err
	}
	i := slices.IndexFunc(interfaces, func(i routerInterfaceRecord) bool { return i.Net == netID })
	if i < 0 {
		return t, nil
	}
	router, err := record.Get[routerRecord](r, kindRouter, interfaces[i].Router)
	if err != nil {
		return t, err
	}
	t.Router = &router
	if t.Routes, err = live[extraRouteRecord](r, kindExtraRoute); err != nil {
		return t, err
	}
	t.Routes = filter(t.Routes, func(e extraRouteRecord) bool { return e.Router == router.ID })
	if t.FloatingIPs, err = live[floatingIPRecord](r, kindFloatingIP); err != nil {
		return t, err
	}
	t.FloatingIPs = filter(t.FloatingIPs, func(f floatingIPRecord) bool {
		return slices.ContainsFunc(t.Ports, func(p portRecord) bool { return p.ID == f.Port })
	})
	return t, nil
}

func live[T interface{ live() bool }](r record.Reader, kind string) ([]T, error) {
	all, err := record.List[T](r, kind)
	return filter(all, func(v T) bool { return v.live() }), err
}

// usedGroups keeps the groups that a port is in. The others need no rules: a remote group
// without members matches nobody.
func usedGroups(ports []portRecord, groups []securityGroupRecord) []securityGroupRecord {
	used := map[string]bool{}
	for _, p := range ports {
		for _, g := range p.Groups {
			used[g] = true
		}
	}
	return filter(groups, func(g securityGroupRecord) bool { return used[g.ID] })
}

// port returns the port with that id.
func (t topology) port(id string) (portRecord, bool) {
	i := slices.IndexFunc(t.Ports, func(p portRecord) bool { return p.ID == id })
	if i < 0 {
		return portRecord{}, false
	}
	return t.Ports[i], true
}

// addresses returns what a port may send from: its fixed address and its allowed address pairs.
func (p portRecord) addresses() []netip.Prefix {
	return append([]netip.Prefix{netip.PrefixFrom(p.FixedIP, 32)}, p.Pairs...)
}

// link returns the name of the port's link on the bridge, within the network's namespace.
func (p portRecord) link() string { return "p" + record.Short(p.ID) }

// reaches reports whether an address lies in one of the network's subnets.
func (t topology) reaches(a netip.Addr) bool {
	return slices.ContainsFunc(t.Subnets, func(s subnetRecord) bool { return s.CIDR.Contains(a) })
}
