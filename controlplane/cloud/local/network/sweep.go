package network

import (
	"context"
	"os"
	"path/filepath"
	"regexp"

	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

// Sweep removes everything of this package on the host whose name begins with the prefix,
// whatever the records say: namespaces, links, the table, the external network, and then the
// records themselves. What it cannot remove it reports, and goes on.
func (n *Network) Sweep(ctx context.Context) error {
	return joinErrors(
		n.sweepNamespaces,
		n.sweepLinks,
		func() error { return n.RemoveExternal(ctx) },
		func() error {
			for _, kind := range []string{kindExternal, kindNet, kindSubnet, kindRouter, kindRouterInterface, kindExtraRoute, kindSecurityGroup, kindPort, kindFloatingIP} {
				if err := os.RemoveAll(filepath.Join(n.Store.Dir(), kind)); err != nil {
					return err
				}
			}
			return nil
		},
	)
}

func (n *Network) sweepNamespaces() error {
	names, err := namespace.List()
	if err != nil {
		return err
	}
	ours := regexp.MustCompile(`^` + n.Prefix + `-net-[0-9a-f]{8}$`)
	var drops []func() error
	for _, name := range names {
		if ours.MatchString(name) {
			n.forget(name)
			drops = append(drops, func() error { return dropNamespace(name) })
		}
	}
	return joinErrors(drops...)
}

func (n *Network) sweepLinks() error {
	host, err := hostSpace()
	if err != nil {
		return err
	}
	defer host.close()
	links, err := host.links()
	if err != nil {
		return err
	}
	ours := regexp.MustCompile(`^` + n.Prefix + `[0-9a-f]{8}$`)
	var removals []func() error
	for _, l := range links {
		if name := l.Attrs().Name; ours.MatchString(name) {
			removals = append(removals, func() error { return host.remove(name) })
		}
	}
	return joinErrors(removals...)
}
