package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/cloud/local/record"
)

// Names within a network's namespace.
const (
	bridgeLink   = "br0"
	externalLink = "ext"
)

// hairpinMark marks connections that came from inside to a floating IP of this network: their
// source is rewritten too, so that the answers come back through the router.
const hairpinMark = 1

// ruleset returns the whole nftables ruleset of a network's namespace: one transaction for
// nft -f that replaces what was there.
func ruleset(t topology) string {
	var b strings.Builder
	w := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	w("table inet slip {}\ndelete table inet slip\ntable bridge slip {}\ndelete table bridge slip")
	w("table inet slip {")
	answers := t.answers()
	renderGroups(w, t, answers)
	chains := renderPorts(w, t, answers)
	w("\tmap ports {\n\t\ttype ipv4_addr : verdict\n\t\tflags interval")
	if len(chains) > 0 {
		w("\t\telements = { %s }", strings.Join(chains, ",\n\t\t\t"))
	}
	w("\t}")
	w("\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;")
	w("\t\tct state established,related accept")
	w("\t\tiifname %q ct status & dnat == 0 drop", externalLink)
	w("\t\toifname %q ip daddr vmap @ports", bridgeLink)
	w("\t\toifname %q drop\n\t}", bridgeLink)
	w("\tchain output {\n\t\ttype filter hook output priority filter; policy accept;")
	w("\t\tct state established,related accept")
	w("\t\toifname %q ip daddr vmap @ports\n\t}", bridgeLink)
	if t.Router != nil {
		renderNAT(w, t)
	}
	w("}")
	renderBridge(w, t)
	return b.String()
}

type writer func(format string, a ...any)

// renderGroups writes the addresses of each group's members and the chain of its rules.
func renderGroups(w writer, t topology, answers []span) {
	for _, g := range t.Groups {
		var members []string
		for _, s := range answers {
			if slices.ContainsFunc(t.Ports, func(p portRecord) bool { return slices.Contains(p.Groups, g.ID) && slices.Contains(s.ports, p.link()) }) {
				members = append(members, s.String())
			}
		}
		w("\tset members_%s {\n\t\ttype ipv4_addr\n\t\tflags interval", record.Short(g.ID))
		if len(members) > 0 {
			w("\t\telements = { %s }", strings.Join(members, ", "))
		}
		w("\t}")
	}
	for _, g := range t.Groups {
		w("\tchain group_%s {", record.Short(g.ID))
		for _, r := range g.Rules {
			if line, ok := r.render(t, g.ID); ok {
				w("\t\t%s", line)
			}
		}
		w("\t}")
	}
}

// render returns the rule as nftables has it, or false when no source can match it.
func (r rule) render(t topology, own string) (string, bool) {
	var terms []string
	switch {
	case r.RemoteGroup != "":
		id := r.RemoteGroup
		if id == self {
			id = own
		}
		if !slices.ContainsFunc(t.Groups, func(g securityGroupRecord) bool { return g.ID == id }) {
			return "", false // no port of this network is in that group
		}
		terms = append(terms, "ip saddr @members_"+record.Short(id))
	case r.Prefix.IsValid() && r.Prefix.Bits() > 0:
		terms = append(terms, "ip saddr "+r.Prefix.String())
	}
	switch {
	case r.Protocol == "icmp":
		terms = append(terms, "ip protocol icmp")
	case r.Protocol == "any":
	case r.Min == 0:
		terms = append(terms, "ip protocol "+r.Protocol)
	case r.Min == r.Max:
		terms = append(terms, fmt.Sprintf("%s dport %d", r.Protocol, r.Min))
	default:
		terms = append(terms, fmt.Sprintf("%s dport %d-%d", r.Protocol, r.Min, r.Max))
	}
	return strings.Join(append(terms, "accept"), " "), true
}

// renderPorts writes a chain for each port, and one for each set of ports that answer for the
// same addresses. It returns the elements of the map from address to chain.
func renderPorts(w writer, t topology, answers []span) []string {
	for _, p := range t.Ports {
		w("\tchain %s {", p.link())
		for _, open := range p.Open {
			w("\t\ttcp dport %d accept", open)
		}
		for _, g := range p.Groups {
			w("\t\tjump group_%s", record.Short(g))
		}
		w("\t}")
	}
	var out []string
	written := map[string]bool{}
	for _, s := range answers {
		chain := "to_" + strings.Join(s.ports, "_")
		if len(s.ports) > 4 {
			chain = "to_" + record.Short(record.ID("chain", chain))
		}
		if !written[chain] {
			written[chain] = true
			w("\tchain %s {", chain)
			for _, p := range s.ports {
				w("\t\tjump %s", p)
			}
			w("\t\tdrop\n\t}")
		}
		out = append(out, fmt.Sprintf("%s : goto %s", s, chain))
	}
	return out
}

// answers returns which ports stand behind which addresses: their fixed ones and their allowed
// address pairs. Several ports may claim the same range, as all nodes claim all pods; the
// router's route then says which port has which part of it.
func (t topology) answers() []span {
	var claims []claim
	for _, p := range t.Ports {
		for _, a := range p.addresses() {
			claims = append(claims, claim{a, p.link()})
		}
		for _, r := range t.Routes {
			if r.Nexthop == p.FixedIP && slices.ContainsFunc(p.Pairs, func(a netip.Prefix) bool { return covers(a, r.Destination) }) {
				claims = append(claims, claim{r.Destination, p.link()})
			}
		}
	}
	return spans(claims)
}

func covers(a, b netip.Prefix) bool { return a.Bits() <= b.Bits() && a.Contains(b.Addr()) }

// renderNAT writes the router: floating IPs one to one in both directions, everything else
// behind the router's address.
func renderNAT(w writer, t topology) {
	w("\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;")
	for _, f := range t.FloatingIPs {
		p, _ := t.port(f.Port)
		w("\t\tiifname %q ip daddr %s ct mark set %d", bridgeLink, f.Address, hairpinMark)
		w("\t\tip daddr %s dnat ip to %s", f.Address, p.FixedIP)
	}
	w("\t}")
	w("\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;")
	w("\t\tct mark %d snat ip to %s", hairpinMark, t.Router.External)
	for _, f := range t.FloatingIPs {
		p, _ := t.port(f.Port)
		w("\t\toifname %q ip saddr %s snat ip to %s", externalLink, p.FixedIP, f.Address)
	}
	w("\t\toifname %q snat ip to %s\n\t}", externalLink, t.Router.External)
}

// renderBridge writes what a port may send: its own link address, and IPv4 and ARP from its own
// addresses. What comes from a link of no port is dropped.
func renderBridge(w writer, t topology) {
	w("table bridge slip {")
	var from []string
	for _, p := range t.Ports {
		from = append(from, fmt.Sprintf("%q : goto from_%s", p.link(), p.link()))
		sources := elements(p.addresses())
		w("\tchain from_%s {", p.link())
		w("\t\tether saddr != %s drop", p.MAC)
		w("\t\tip saddr { %s } accept", sources)
		w("\t\tarp saddr ether %s arp saddr ip { 0.0.0.0, %s } accept", p.MAC, sources)
		w("\t\tdrop\n\t}")
	}
	w("\tchain prerouting {\n\t\ttype filter hook prerouting priority dstnat; policy drop;")
	if len(from) > 0 {
		w("\t\tiifname vmap { %s }", strings.Join(from, ", "))
	}
	w("\t}")
	w("\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;")
	for _, f := range t.FloatingIPs {
		// Its link may send a frame back to where it came from (converge sets hairpin mode), for a
		// port that speaks to its own floating IP; anything else must not come back.
		p, _ := t.port(f.Port)
		w("\t\tiifname %q oifname %q ether daddr != %s drop", p.link(), p.link(), p.MAC)
	}
	w("\t}\n}")
}
