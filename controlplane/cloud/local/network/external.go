package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

func hostSpace() (space, error) {
	h, err := netlink.NewHandle()
	if err != nil {
		return space{}, fmt.Errorf("open netlink: %w", err)
	}
	return space{h, netns.None()}, nil
}

func (n *Network) externalState(r record.Reader) (externalRecord, error) {
	state, err := record.Get[externalRecord](r, kindExternal, kindExternal)
	if isGone(err) {
		return state, nil
	}
	return state, err
}

// EnsureExternal makes the external network on the host: the bridge with the host's address,
// the host's table with the control plane's restriction and the masquerade, and forwarding,
// whose former state is remembered for RemoveExternal. A range that the host routes elsewhere
// is a terminal fault. It may be called again at any time.
func (n *Network) EnsureExternal(ctx context.Context) error {
	host, err := hostSpace()
	if err != nil {
		return err
	}
	defer host.close()
	if err := n.checkOverlap(host); err != nil {
		return err
	}
	if err := needBridgeFilter(ctx); err != nil {
		return err
	}
	forwarded, err := n.rememberForwarding(ctx, host)
	if err != nil {
		return err
	}
	if err := n.nft(ctx, "", n.hostRuleset()); err != nil {
		return fmt.Errorf("external network: %w", err)
	}
	bridge, err := host.bridge(n.Bridge(), hardwareAddress(n.Bridge()))
	if err != nil {
		return err
	}
	if !forwarded {
		if err := host.LinkSetAlias(bridge, wasOff); err != nil {
			return fmt.Errorf("set alias of %s: %w", n.Bridge(), err)
		}
	}
	if err := set([]setting{{"net.ipv6.conf." + n.Bridge() + ".disable_ipv6", "1"}, {"net.ipv4.ip_forward", "1"}}); err != nil {
		return err
	}
	n.warnOfFirewall(ctx)
	return host.addresses(bridge, []netip.Prefix{netip.PrefixFrom(n.HostAddress(), n.External.Bits())})
}

// warnOfFirewall logs that a firewall of the host's drops what it does not know: our table cannot
// overrule it, and clusters then do not reach the outside.
func (n *Network) warnOfFirewall(ctx context.Context) {
	out, err := exec.CommandContext(ctx, n.NFT, "list", "chains").Output()
	if err != nil {
		n.Log.Warn("list the host's firewall chains", "error", err)
		return
	}
	for _, chain := range droppingChains(string(out)) {
		n.Log.Warn("a firewall chain of this host drops forwarded packets by default: let it accept those of the bridge, or clusters will not reach the outside",
			"chain", chain, "bridge", n.Bridge())
	}
}

// droppingChains returns the chains on the forward hook whose policy is drop, from the output of
// nft list chains.
func droppingChains(list string) []string {
	var out []string
	table, chain := "", ""
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		switch {
		case len(f) > 2 && f[0] == "table":
			table = f[1] + " " + f[2]
		case len(f) > 1 && f[0] == "chain":
			chain = f[1]
		case strings.Contains(line, "hook forward") && strings.Contains(line, "policy drop"):
			out = append(out, table+" "+chain)
		}
	}
	return out
}

// checkOverlap refuses a range that another link of the host has a route into.
func (n *Network) checkOverlap(host space) error {
	routes, err := host.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		dst := toPrefix(r.Dst)
		if !dst.IsValid() || dst.Bits() == 0 || !dst.Overlaps(n.External) {
			continue
		}
		name := fmt.Sprintf("link %d", r.LinkIndex)
		if link, err := host.LinkByIndex(r.LinkIndex); err == nil {
			name = link.Attrs().Name
		}
		if name != n.Bridge() {
			return fault.Terminalf("external network %s: the host has a route to %s by %s: choose another range", n.External, dst, name)
		}
	}
	return nil
}

// needBridgeFilter loads the module that lets bridged frames pass the inet hooks.
func needBridgeFilter(ctx context.Context) error {
	present := func() bool { _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); return err == nil }
	if present() {
		return nil
	}
	out, err := exec.CommandContext(ctx, "modprobe", "br_netfilter").CombinedOutput()
	if !present() {
		return fault.Terminalf("security groups need the kernel's module br_netfilter: modprobe: %v %s", err, firstLine(string(out)))
	}
	return nil
}

// wasOff is the alias of an external bridge that found forwarding turned off. It tells another
// external network on this host, such as a test's, that forwarding is on only because of us.
const wasOff = "ip_forward was 0"

// rememberForwarding keeps, at the first call, whether forwarding was on before we came, and
// returns it.
func (n *Network) rememberForwarding(ctx context.Context, host space) (on bool, err error) {
	err = n.Store.Update(ctx, func(tx *record.Tx) error {
		state, err := record.Get[externalRecord](tx, kindExternal, kindExternal)
		if err == nil || !isGone(err) {
			on = state.Forwarded
			return err
		}
		if on, err = isOn("net.ipv4.ip_forward"); err != nil {
			return err
		}
		others, err := n.otherBridges(host)
		if err != nil {
			return err
		}
		for _, o := range others {
			on = on && o.Attrs().Alias != wasOff
		}
		return tx.Put(kindExternal, kindExternal, externalRecord{Forwarded: on})
	})
	return on, err
}

var externalBridge = regexp.MustCompile(`^slip[a-z]*-ext$`)

// otherBridges returns the bridges of other external networks of ours on this host.
func (n *Network) otherBridges(host space) ([]netlink.Link, error) {
	links, err := host.links()
	return filter(links, func(l netlink.Link) bool {
		return l.Attrs().Name != n.Bridge() && externalBridge.MatchString(l.Attrs().Name)
	}), err
}

// hostRuleset returns the host's table: one transaction that replaces what was there.
// What the control plane answers passes; what it would open itself does not.
func (n *Network) hostRuleset() string {
	return fmt.Sprintf(`table inet %[1]s {}
delete table inet %[1]s
table inet %[1]s {
	chain output {
		type filter hook output priority filter; policy accept;
		meta skgid %[2]d ct direction original ip daddr %[3]s ip daddr != %[4]s drop
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname %[5]q accept
		oifname %[5]q accept
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr %[3]s ip daddr != %[3]s oifname != %[5]q masquerade
	}
}
`, n.Prefix, n.ControlGID, n.External, n.HostAddress(), n.Bridge())
}

// RemoveExternal takes from the host what EnsureExternal made. Forwarding is turned off again if
// it was off before, unless another external network of ours is on this host.
func (n *Network) RemoveExternal(ctx context.Context) error {
	host, err := hostSpace()
	if err != nil {
		return err
	}
	defer host.close()
	if err := host.remove(n.Bridge()); err != nil {
		return err
	}
	if err := n.nft(ctx, "", fmt.Sprintf("table inet %[1]s {}\ndelete table inet %[1]s\n", n.Prefix)); err != nil {
		return fmt.Errorf("external network: %w", err)
	}
	state, err := record.Get[externalRecord](n.Store, kindExternal, kindExternal)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	others, err := n.otherBridges(host)
	if err != nil {
		return err
	}
	if !state.Forwarded && len(others) == 0 {
		if err := set([]setting{{"net.ipv4.ip_forward", "0"}}); err != nil {
			return err
		}
	}
	return n.Store.Update(ctx, func(tx *record.Tx) error { return tx.Delete(kindExternal, kindExternal) })
}

// joinErrors keeps a clean-up going past its errors.
func joinErrors(fns ...func() error) error {
	var all []error
	for _, fn := range fns {
		all = append(all, fn())
	}
	return errors.Join(all...)
}
