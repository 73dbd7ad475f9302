package local

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"

	"slipway.build/slipway/controlplane/cloud/local/compute"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// plugger is the network as servers need it.
type plugger struct{ net *network.Network }

func (p plugger) Plug(ctx context.Context, port, namespace string) error {
	return p.net.Plug(ctx, port, namespace)
}

func (p plugger) Unplug(ctx context.Context, port string) error {
	if err := p.net.Unplug(ctx, port); err != nil && !errors.Is(err, record.ErrNotFound) {
		return err
	}
	return nil
}

// Endpoint returns the port. Where its subnet names no resolvers, a server gets this machine's, as
// a network's DHCP server would hand out its own.
func (p plugger) Endpoint(ctx context.Context, port string) (compute.Endpoint, error) {
	v, err := p.net.Port(ctx, port)
	if err != nil {
		return compute.Endpoint{}, err
	}
	if len(v.DNS) == 0 {
		v.DNS = hostResolvers()
	}
	return compute.Endpoint{Address: v.Address.Addr(), MAC: v.MAC, DNS: v.DNS}, nil
}

// hostResolvers returns this machine's resolvers that others can reach, too. Behind
// systemd-resolved's local stub they are in its own file.
func hostResolvers() []netip.Addr {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		found := resolvers(f)
		f.Close()
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// resolvers reads resolv.conf(5) and leaves out what is only for this machine.
func resolvers(r io.Reader) []netip.Addr {
	var found []netip.Addr
	for lines := bufio.NewScanner(r); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && !a.IsLoopback() && !a.IsUnspecified() {
			found = append(found, a)
		}
	}
	return found
}
