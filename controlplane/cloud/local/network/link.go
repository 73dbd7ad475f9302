package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/fault"
)

// routeProtocol marks the routes that follow from records (the kernel's route_protocol numbers
// from 128 on are free for administrators).
const routeProtocol = 172

// space is an open namespace: a netlink socket in it and a descriptor of it.
type space struct {
	*netlink.Handle
	fd netns.NsHandle
}

func openSpace(name string) (space, error) {
	fd, err := netns.GetFromPath(namespace.Path(name))
	if err != nil {
		return space{}, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	h, err := netlink.NewHandleAt(fd)
	if err != nil {
		fd.Close()
		return space{}, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	return space{h, fd}, nil
}

func (s space) close() {
	s.Close()
	s.fd.Close()
}

// find returns the link of that name, or nil.
func (s space) find(name string) (netlink.Link, error) {
	link, err := s.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find link %s: %w", name, err)
	}
	return link, nil
}

// remove deletes the link of that name; one that is not there is no error.
func (s space) remove(name string) error {
	link, err := s.find(name)
	if err != nil || link == nil {
		return err
	}
	return s.delete(link)
}

// delete removes a link; one that goes at the same time with its other end is no error.
func (s space) delete(link netlink.Link) error {
	if err := s.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove link %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// bridge returns the bridge of that name, made and up.
func (s space) bridge(name string, mac net.HardwareAddr) (netlink.Link, error) {
	link, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if link == nil {
		snooping := false
		b := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
		b.Name, b.HardwareAddr = name, mac
		if err := s.LinkAdd(b); err != nil {
			return nil, fmt.Errorf("make bridge %s: %w", name, err)
		}
		if link, err = s.LinkByName(name); err != nil {
			return nil, fmt.Errorf("make bridge %s: %w", name, err)
		}
	}
	if _, ok := link.(*netlink.Bridge); !ok {
		return nil, fault.Terminalf("link %s is there already and is no bridge: remove it", name)
	}
	return link, s.up(link)
}

func (s space) up(link netlink.Link) error {
	if link.Attrs().Flags&net.FlagUp != 0 {
		return nil
	}
	if err := s.LinkSetUp(link); err != nil {
		return fmt.Errorf("set link %s up: %w", link.Attrs().Name, err)
	}
	return nil
}

// addresses gives the link these IPv4 addresses and no others.
func (s space) addresses(link netlink.Link, want []netip.Prefix) error {
	have, err := s.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	kept := map[netip.Prefix]bool{}
	for _, h := range have {
		p := toPrefix(h.IPNet)
		if contains(want, p) {
			kept[p] = true
		} else if err := s.AddrDel(link, &h); err != nil {
			return fmt.Errorf("remove address %s from %s: %w", p, link.Attrs().Name, err)
		}
	}
	for _, p := range want {
		if kept[p] {
			continue
		}
		if err := s.AddrAdd(link, &netlink.Addr{IPNet: toIPNet(p)}); err != nil {
			return fmt.Errorf("add address %s to %s: %w", p, link.Attrs().Name, err)
		}
	}
	return nil
}

// defaultRoute sends everything else to the gateway.
func (s space) defaultRoute(link netlink.Link, gateway netip.Addr) error {
	err := s.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice(), Dst: toIPNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
	})
	if err != nil {
		return fmt.Errorf("set default route by %s: %w", gateway, err)
	}
	return nil
}

func contains(all []netip.Prefix, p netip.Prefix) bool {
	for _, a := range all {
		if a == p {
			return true
		}
	}
	return false
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// toPrefix returns the zero Prefix for nil.
func toPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}
