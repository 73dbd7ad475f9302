package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// guestLink is the name of a port's link in the namespace that it is plugged into.
const guestLink = "host0"

// Plug connects a port to the named network namespace, which has to exist: the link host0
// there gets the port's link address, its fixed address and the default route, and loopback is
// up. It may be called again, also for another namespace: the port then leaves the former one.
func (n *Network) Plug(_ context.Context, portID, netnsName string) error {
	v, subnet, err := n.loadPort(portID)
	if isGone(err) || err == nil && v.Deleting {
		return fault.Terminalf("plug port %s: there is no such port", portID)
	}
	if err != nil {
		return err
	}
	if err := n.plug(v, subnet, netnsName); err != nil {
		return fmt.Errorf("plug port %s (%s) into %s: %w", v.Name, v.FixedIP, netnsName, err)
	}
	return nil
}

func (n *Network) plug(v portRecord, subnet subnetRecord, netnsName string) error {
	network, err := openSpace(n.namespace(v.Net))
	if err != nil {
		return err
	}
	defer network.close()
	guest, err := openSpace(netnsName)
	if err != nil {
		return err
	}
	defer guest.close()
	bridge, err := network.find(bridgeLink)
	if err != nil {
		return err
	}
	if bridge == nil {
		return fault.Retriablef("the network's bridge is not there")
	}
	end, err := attached(network, guest, v)
	if err != nil {
		return err
	}
	if end == nil {
		if end, err = attach(network, guest, bridge, v); err != nil {
			return err
		}
	}
	if err := n.hairpin(network, v); err != nil {
		return err
	}
	// A gratuitous ARP as soon as the link is up tells everybody who remembers the address's
	// former owner.
	if err := namespace.Do(netnsName, func() error {
		return set([]setting{{"net.ipv4.conf." + guestLink + ".arp_notify", "1"}})
	}); err != nil {
		return err
	}
	if err := guest.addresses(end, []netip.Prefix{netip.PrefixFrom(v.FixedIP, subnet.CIDR.Bits())}); err != nil {
		return err
	}
	lo, err := guest.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, l := range []netlink.Link{lo, end} {
		if err := guest.up(l); err != nil {
			return err
		}
	}
	return guest.defaultRoute(end, subnet.Gateway)
}

// attached returns the guest's end of the port's link when it is what it should be, and nil
// otherwise, with nothing of the port left.
func attached(network, guest space, v portRecord) (netlink.Link, error) {
	port, err := network.find(v.link())
	if err != nil {
		return nil, err
	}
	end, err := guest.find(guestLink)
	if err != nil {
		return nil, err
	}
	mac, _ := net.ParseMAC(v.MAC)
	if port != nil && end != nil && port.Attrs().ParentIndex == end.Attrs().Index && end.Attrs().ParentIndex == port.Attrs().Index &&
		end.Attrs().HardwareAddr.String() == mac.String() && port.Attrs().MasterIndex != 0 {
		return end, nil
	}
	if port != nil {
		if err := network.delete(port); err != nil {
			return nil, err
		}
	}
	// It may have gone with its other end.
	return nil, guest.remove(guestLink)
}

// attach makes the port's link.
func attach(network, guest space, bridge netlink.Link, v portRecord) (netlink.Link, error) {
	mac, err := net.ParseMAC(v.MAC)
	if err != nil {
		return nil, err
	}
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: v.link(), MasterIndex: bridge.Attrs().Index, TxQLen: -1})
	veth.PeerName, veth.PeerNamespace, veth.PeerHardwareAddr = guestLink, netlink.NsFd(guest.fd), mac
	if err := network.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make link %s: %w", v.link(), err)
	}
	if err := network.up(veth); err != nil {
		return nil, err
	}
	return guest.LinkByName(guestLink)
}

// hairpin sets the port's hairpin mode: on with a floating IP.
func (n *Network) hairpin(network space, v portRecord) error {
	ips, err := live[floatingIPRecord](n.Store, kindFloatingIP)
	if err != nil {
		return err
	}
	if len(filter(ips, func(f floatingIPRecord) bool { return f.Port == v.ID })) == 0 {
		return nil
	}
	link, err := network.LinkByName(v.link())
	if err != nil {
		return err
	}
	return network.LinkSetHairpin(link, true)
}

// Unplug takes the port's link away. A port that is not plugged or not there is no error.
func (n *Network) Unplug(_ context.Context, portID string) error {
	v, err := record.Get[portRecord](n.Store, kindPort, portID)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	name := n.namespace(v.Net)
	if !namespace.Exists(name) {
		return nil
	}
	network, err := openSpace(name)
	if err != nil {
		return err
	}
	defer network.close()
	return network.remove(v.link())
}
