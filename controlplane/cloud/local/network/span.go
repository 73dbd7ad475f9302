package network

import (
	"net/netip"
	"slices"
	"strings"
)

// claim says that a port answers for a range of addresses.
type claim struct {
	prefix netip.Prefix
	port   string
}

// span is a range of addresses and the ports that answer for it.
type span struct {
	first, last netip.Addr
	ports       []string
}

func (s span) String() string {
	if s.first == s.last {
		return s.first.String()
	}
	return s.first.String() + "-" + s.last.String()
}

// spans cuts overlapping claims into disjoint ranges, ordered by address, as nftables' interval
// maps and sets want them. The longest prefix answers for a range; of several equally long ones
// all do. Neighbouring ranges of the same ports are one.
func spans(claims []claim) []span {
	var edges []netip.Addr // each begins a range that is claimed as a whole or not at all
	for _, c := range claims {
		edges = append(edges, c.prefix.Masked().Addr(), broadcast(c.prefix).Next())
	}
	slices.SortFunc(edges, netip.Addr.Compare)
	edges = slices.Compact(edges)
	var out []span
	for i, first := range edges {
		if !first.IsValid() { // past 255.255.255.255
			continue
		}
		ports := answering(claims, first)
		if len(ports) == 0 {
			continue
		}
		last := netip.AddrFrom4([4]byte{255, 255, 255, 255})
		if i+1 < len(edges) {
			last = edges[i+1].Prev()
		}
		if n := len(out); n > 0 && out[n-1].last.Next() == first && slices.Equal(out[n-1].ports, ports) {
			out[n-1].last = last
			continue
		}
		out = append(out, span{first, last, ports})
	}
	return out
}

// answering returns the ports with the longest prefix that contains the address.
func answering(claims []claim, a netip.Addr) []string {
	longest := -1
	var ports []string
	for _, c := range claims {
		if !c.prefix.Contains(a) || c.prefix.Bits() < longest {
			continue
		}
		if c.prefix.Bits() > longest {
			longest, ports = c.prefix.Bits(), nil
		}
		ports = append(ports, c.port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// elements renders the ranges of some prefixes as the elements of an nftables set.
func elements(prefixes []netip.Prefix) string {
	var claims []claim
	for _, p := range prefixes {
		claims = append(claims, claim{prefix: p})
	}
	var out []string
	for _, s := range spans(claims) {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}
