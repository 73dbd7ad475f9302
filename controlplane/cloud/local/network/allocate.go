package network

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"

	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// nextFree returns the first address of the range after last that is not used, going round at
// the end, without the range's network and broadcast addresses. Addresses are so given again as
// late as possible, when no neighbour remembers the old link address.
func nextFree(cidr netip.Prefix, last netip.Addr, used map[netip.Addr]bool) (netip.Addr, error) {
	first, end := cidr.Masked().Addr().Next(), broadcast(cidr)
	a := first
	if last.IsValid() && cidr.Contains(last) {
		a = last.Next()
	}
	if a.Compare(end) >= 0 {
		a = first
	}
	for start := a; ; {
		if !used[a] {
			return a, nil
		}
		if a = a.Next(); a.Compare(end) >= 0 {
			a = first
		}
		if a == start {
			return a, fault.Terminalf("no free address is left in %s", cidr)
		}
	}
}

// broadcast returns the last address of an IPv4 range.
func broadcast(cidr netip.Prefix) netip.Addr {
	b := cidr.Masked().Addr().As4()
	for i := cidr.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// allocateExternal takes an address of the external network within the transaction.
func (n *Network) allocateExternal(tx *record.Tx) (netip.Addr, error) {
	used := map[netip.Addr]bool{n.HostAddress(): true}
	routers, err := record.List[routerRecord](tx, kindRouter)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, r := range routers {
		used[r.External] = true
	}
	ips, err := record.List[floatingIPRecord](tx, kindFloatingIP)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, f := range ips {
		used[f.Address] = true
	}
	state, err := n.externalState(tx)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := nextFree(n.External, state.Last, used)
	if err != nil {
		return a, fmt.Errorf("external network: %w", err)
	}
	state.Last = a
	return a, tx.Put(kindExternal, kindExternal, state)
}

// allocateFixed takes an address of the subnet within the transaction.
func allocateFixed(tx *record.Tx, subnet subnetRecord) (netip.Addr, error) {
	used := map[netip.Addr]bool{subnet.Gateway: true}
	ports, err := record.List[portRecord](tx, kindPort)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, p := range ports {
		if p.Subnet == subnet.ID {
			used[p.FixedIP] = true
		}
	}
	a, err := nextFree(subnet.CIDR, subnet.Last, used)
	if err != nil {
		return a, fmt.Errorf("subnet %s: %w", subnet.Name, err)
	}
	subnet.Last = a
	return a, tx.Put(kindSubnet, subnet.ID, subnet)
}

// hardwareAddress returns the link address of an object: Neutron's vendor part and three bytes
// out of the id.
func hardwareAddress(id string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(id))
	return net.HardwareAddr{0xfa, 0x16, 0x3e, sum[0], sum[1], sum[2]}
}
