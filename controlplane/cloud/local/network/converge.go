package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/vishvananda/netlink"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// converge makes the network's namespace what the records say and returns when it is. Several
// callers at a time share their runs.
func (n *Network) converge(ctx context.Context, netID string) error {
	return n.converging.Do(ctx, netID, func(ctx context.Context) error {
		t, err := loadTopology(n.Store, netID)
		if isGone(err) || err == nil && t.Net.Deleting {
			return n.drop(netID)
		}
		if err != nil {
			return err
		}
		if err := n.build(ctx, t); err != nil {
			return fmt.Errorf("network %s: %w", t.Net.Name, err)
		}
		return nil
	})
}

// convergeRouter converges the network that the router serves, if any.
func (n *Network) convergeRouter(ctx context.Context, router string) error {
	interfaces, err := record.List[routerInterfaceRecord](n.Store, kindRouterInterface)
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Router == router {
			return n.converge(ctx, i.Net)
		}
	}
	return nil
}

// drop removes a network's namespace with all links in it. Links go only with the namespace,
// which a process may hold, so those that reach out are removed by name first.
func (n *Network) drop(netID string) error {
	name := n.namespace(netID)
	n.forget(name)
	return dropNamespace(name)
}

func dropNamespace(name string) error {
	if namespace.Exists(name) {
		s, err := openSpace(name)
		if err != nil {
			return err
		}
		defer s.close()
		links, err := s.links()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Attrs().Name == externalLink || portLink.MatchString(l.Attrs().Name) {
				if err := s.delete(l); err != nil {
					return err
				}
			}
		}
	}
	return namespace.Delete(name)
}

var portLink = regexp.MustCompile(`^p[0-9a-f]{8}$`)

// links lists all links; a list that changed while it was read is read again.
func (s space) links() ([]netlink.Link, error) {
	for range 10 {
		links, err := s.LinkList()
		if err == nil {
			return links, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list links: %w", err)
		}
	}
	return nil, fault.Retriablef("list links: they keep changing")
}

// build is one run of converge. The rules come before any way into the namespace.
func (n *Network) build(ctx context.Context, t topology) error {
	name := n.namespace(t.Net.ID)
	made, err := namespace.Ensure(name)
	if err != nil {
		return err
	}
	if made {
		n.forget(name)
	}
	s, err := openSpace(name)
	if err != nil {
		return err
	}
	defer s.close()
	bridge, err := s.find(bridgeLink)
	if err != nil {
		return err
	}
	if bridge == nil { // the settings come first: links take their defaults from them
		n.forget(name)
		if err := namespace.Do(name, func() error { return set(routerSettings) }); err != nil {
			return err
		}
		if lo, err := s.LinkByName("lo"); err != nil || s.LinkSetUp(lo) != nil {
			return fmt.Errorf("set loopback up: %w", err)
		}
	}
	if bridge, err = s.bridge(bridgeLink, hardwareAddress(t.Net.ID)); err != nil {
		return err
	}
	if err := n.apply(ctx, name, ruleset(t)); err != nil {
		return err
	}
	var gateways []netip.Prefix
	for _, sn := range t.Subnets {
		gateways = append(gateways, netip.PrefixFrom(sn.Gateway, sn.CIDR.Bits()))
	}
	if err := s.addresses(bridge, gateways); err != nil {
		return err
	}
	if err := s.settlePorts(t); err != nil {
		return err
	}
	if err := n.connect(s, t); err != nil {
		return err
	}
	return s.settleRoutes(bridge, t)
}

// settlePorts removes the links of ports that are gone and lets those with a floating IP send
// frames back to themselves.
func (s space) settlePorts(t topology) error {
	hairpin := map[string]bool{}
	for _, p := range t.Ports {
		hairpin[p.link()] = false
	}
	for _, f := range t.FloatingIPs {
		p, _ := t.port(f.Port)
		hairpin[p.link()] = true
	}
	links, err := s.links()
	if err != nil {
		return err
	}
	for _, l := range links {
		name := l.Attrs().Name
		if !portLink.MatchString(name) {
			continue
		}
		mode, known := hairpin[name]
		if !known {
			err = s.delete(l)
		} else if l.Attrs().MasterIndex != 0 {
			err = s.LinkSetHairpin(l, mode)
		}
		if err != nil {
			return fmt.Errorf("settle link %s: %w", name, err)
		}
	}
	return nil
}

// connect makes or removes the link into the external network.
func (n *Network) connect(s space, t topology) error {
	if t.Router == nil {
		return s.remove(externalLink)
	}
	ext, err := s.find(externalLink)
	if err != nil {
		return err
	}
	if ext == nil {
		host, err := hostSpace()
		if err != nil {
			return err
		}
		defer host.close()
		bridge, err := host.find(n.Bridge())
		if err != nil {
			return err
		}
		if bridge == nil {
			return fault.Retriablef("the external network's bridge %s is not there: start slipwayd again", n.Bridge())
		}
		v := netlink.NewVeth(netlink.LinkAttrs{Name: n.Prefix + record.Short(t.Router.ID), MasterIndex: bridge.Attrs().Index, TxQLen: -1})
		v.PeerName, v.PeerNamespace, v.PeerHardwareAddr = externalLink, netlink.NsFd(s.fd), hardwareAddress(t.Router.ID)
		if err := host.remove(v.Name); err != nil { // its other end was lost with a namespace
			return err
		}
		if err := host.LinkAdd(v); err != nil {
			return fmt.Errorf("make link %s: %w", v.Name, err)
		}
		if err := host.up(v); err != nil {
			return err
		}
		if ext, err = s.LinkByName(externalLink); err != nil {
			return fmt.Errorf("make link %s: %w", v.Name, err)
		}
	}
	addresses := []netip.Prefix{netip.PrefixFrom(t.Router.External, n.External.Bits())}
	for _, f := range t.FloatingIPs {
		addresses = append(addresses, netip.PrefixFrom(f.Address, 32))
	}
	if err := s.addresses(ext, addresses); err != nil {
		return err
	}
	if err := s.up(ext); err != nil {
		return err
	}
	return s.defaultRoute(ext, n.HostAddress())
}

// settleRoutes makes the router's extra routes the ones of the records.
func (s space) settleRoutes(bridge netlink.Link, t topology) error {
	have, err := s.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	current := map[netip.Prefix]netip.Addr{}
	for _, h := range have {
		gw, _ := netip.AddrFromSlice(h.Gw)
		current[toPrefix(h.Dst)] = gw.Unmap()
	}
	for _, r := range t.Routes {
		if !t.reaches(r.Nexthop) {
			continue
		}
		gw, known := current[r.Destination]
		delete(current, r.Destination)
		if known && gw == r.Nexthop {
			continue
		}
		err := s.RouteReplace(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: toIPNet(r.Destination), Gw: r.Nexthop.AsSlice(), Protocol: routeProtocol})
		if err != nil {
			return fmt.Errorf("route %s by %s: %w", r.Destination, r.Nexthop, err)
		}
	}
	for dst := range current {
		if err := s.RouteDel(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: toIPNet(dst), Protocol: routeProtocol}); err != nil {
			return fmt.Errorf("remove route %s: %w", dst, err)
		}
	}
	return nil
}

// forgetFlows ends the connections of an address in the network, so that whoever gets it next
// does not inherit them.
func (n *Network) forgetFlows(netID string, a netip.Addr) error {
	name := n.namespace(netID)
	if !namespace.Exists(name) {
		return nil
	}
	s, err := openSpace(name)
	if err != nil {
		return err
	}
	defer s.close()
	var filters []netlink.CustomConntrackFilter
	for _, side := range []netlink.ConntrackFilterType{netlink.ConntrackOrigSrcIP, netlink.ConntrackOrigDstIP, netlink.ConntrackReplyAnyIP} {
		f := &netlink.ConntrackFilter{}
		if err := f.AddIP(side, a.AsSlice()); err != nil {
			return err
		}
		filters = append(filters, f)
	}
	if _, err := s.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.FAMILY_V4, filters...); err != nil {
		return fmt.Errorf("forget connections of %s: %w", a, err)
	}
	return nil
}
