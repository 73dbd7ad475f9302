package network

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"sync"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network/coalesce"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// Config is what a Network needs. All fields without a stated default are required.
type Config struct {
	Store *record.Store
	// Prefix begins the names of everything on the host: the bridge <prefix>-ext, namespaces
	// <prefix>-net-<8hex>, links <prefix><8hex>, the table inet <prefix>. At most 7 letters;
	// default "slip".
	Prefix string
	// External is the external network's range; its first address is the host's. Default
	// 172.29.0.0/16.
	External netip.Prefix
	// ExternalNames are the names and ids by which templates may call the external network,
	// besides <prefix>-ext. Default "public".
	ExternalNames []string
	// ControlGID is the group of the control plane, whose traffic into the external network
	// the host drops, but for the host's own address. Default 64723.
	ControlGID int
	// NFT is the path of the nft binary. Default: found in PATH.
	NFT string
	Log *slog.Logger // default: discards
}

// Network is the local Neutron. It is safe for concurrent use.
type Network struct {
	Config
	converging coalesce.Group
	mu         sync.Mutex
	applied    map[string]string // ruleset last given to the kernel, by namespace
}

var prefixForm = regexp.MustCompile(`^[a-z]{1,7}$`)

// New returns a Network. It touches nothing on the host yet.
func New(cfg Config) (*Network, error) {
	if cfg.Store == nil {
		return nil, fmt.Errorf("local network: no object store")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "slip"
	}
	if !prefixForm.MatchString(cfg.Prefix) {
		return nil, fmt.Errorf("local network: prefix %q is not 1 to 7 lower case letters", cfg.Prefix)
	}
	if !cfg.External.IsValid() {
		cfg.External = netip.MustParsePrefix("172.29.0.0/16")
	}
	if cfg.External = cfg.External.Masked(); !cfg.External.Addr().Is4() || cfg.External.Bits() > 29 {
		return nil, fmt.Errorf("local network: external range %s is not an IPv4 range of at least a /29", cfg.External)
	}
	if cfg.ExternalNames == nil {
		cfg.ExternalNames = []string{"public"}
	}
	if cfg.ControlGID == 0 {
		cfg.ControlGID = 64723
	}
	if cfg.NFT == "" {
		path, err := exec.LookPath("nft")
		if err != nil {
			return nil, fmt.Errorf("local network: install the package nftables: %w", err)
		}
		cfg.NFT = path
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Network{Config: cfg, applied: map[string]string{}}, nil
}

// Types returns the resource types of this package by name.
func (n *Network) Types() map[string]cloud.Type {
	return map[string]cloud.Type{
		"OS::Neutron::Net":             netType{n},
		"OS::Neutron::Subnet":          subnetType{n},
		"OS::Neutron::Router":          routerType{n},
		"OS::Neutron::RouterInterface": routerInterfaceType{n},
		"OS::Neutron::ExtraRoute":      extraRouteType{n},
		"OS::Neutron::SecurityGroup":   securityGroupType{n},
		"OS::Neutron::Port":            portType{n},
		"OS::Neutron::FloatingIP":      floatingIPType{n},
	}
}

// Bridge returns the name of the host's bridge that is the external network.
func (n *Network) Bridge() string { return n.Prefix + "-ext" }

// HostAddress returns the host's address in the external network: its first one.
func (n *Network) HostAddress() netip.Addr { return n.External.Addr().Next() }

func (n *Network) namespace(netID string) string { return n.Prefix + "-net-" + record.Short(netID) }

func (n *Network) checkExternal(req cloud.Request, name string) error {
	if name == n.Bridge() || slices.Contains(n.ExternalNames, name) {
		return nil
	}
	return fault.Terminalf("resource %s: external network %q is unknown; this cloud has %q", req.Name, name, n.ExternalNames)
}

// Restore brings the external network and every network back to what the records say: after a
// reboot, or after somebody removed something by hand. Ports have to be plugged again by those
// who own the namespaces they are plugged into.
func (n *Network) Restore(ctx context.Context) error {
	if err := n.EnsureExternal(ctx); err != nil {
		return err
	}
	nets, err := record.List[netRecord](n.Store, kindNet)
	if err != nil {
		return err
	}
	for _, net := range nets {
		n.forget(n.namespace(net.ID))
		if err := n.converge(ctx, net.ID); err != nil {
			return err
		}
	}
	return nil
}
