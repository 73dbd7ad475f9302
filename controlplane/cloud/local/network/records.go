package network

import (
	"context"
	"errors"
	"net/netip"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// The kinds of records.
const (
	kindExternal        = "external"
	kindNet             = "net"
	kindSubnet          = "subnet"
	kindRouter          = "router"
	kindRouterInterface = "router-interface"
	kindExtraRoute      = "extra-route"
	kindSecurityGroup   = "security-group"
	kindPort            = "port"
	kindFloatingIP      = "floating-ip"
)

// meta begins every record. A record that is being deleted counts no more in a network's
// contents but keeps its allocations until they are out of the kernel.
type meta struct {
	ID       string
	Cluster  string
	Name     string
	Deleting bool `json:",omitempty"`
}

func newMeta(kind string, req cloud.Request, name string) meta {
	if name == "" {
		name = req.Stack + "-" + req.Name
	}
	return meta{ID: record.ID(kind, req.Key), Cluster: req.Cluster, Name: name}
}

// externalRecord is what has to be remembered about the host.
type externalRecord struct {
	Forwarded bool       // ip_forward was on before we came
	Last      netip.Addr // last address given out, so that one is used again as late as possible
}

type netRecord struct{ meta }

type subnetRecord struct {
	meta
	Net     string
	CIDR    netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr `json:",omitempty"`
	Last    netip.Addr
}

type routerRecord struct {
	meta
	External netip.Addr
}

type routerInterfaceRecord struct {
	meta
	Router, Net, Subnet string
}

type extraRouteRecord struct {
	meta
	Router      string
	Destination netip.Prefix
	Nexthop     netip.Addr
}

type securityGroupRecord struct {
	meta
	Rules []rule
}

type portRecord struct {
	meta
	Net, Subnet string
	FixedIP     netip.Addr
	MAC         string
	Groups      []string
	Pairs       []netip.Prefix `json:",omitempty"` // allowed address pairs
	Open        []int          `json:",omitempty"` // TCP ports open to all, set by the port's owner
}

type floatingIPRecord struct {
	meta
	Address netip.Addr
	Port    string `json:",omitempty"`
	Net     string `json:",omitempty"`
}

// find returns the live object that a property refers to; one that is missing is a terminal
// fault naming the property.
func find[T interface{ live() bool }](r record.Reader, req cloud.Request, property, kind, id string) (T, error) {
	v, err := record.Get[T](r, kind, id)
	if errors.Is(err, record.ErrNotFound) || err == nil && !v.live() {
		return v, fault.Terminalf("resource %s: property %s: there is no %s %q", req.Name, property, kind, id)
	}
	return v, err
}

func (m meta) live() bool { return !m.Deleting }

// remove deletes a record in two durable steps, so that a crash between them is made up for by
// the next call: marked as being deleted, taken out of the kernel by settle, forgotten. The
// guard may refuse; mark returns the record to be written.
func remove[T any](ctx context.Context, n *Network, kind, id string, mark func(*record.Tx, *T) error, settle func(T) error) error {
	var v T
	err := n.Store.Update(ctx, func(tx *record.Tx) error {
		var err error
		if v, err = record.Get[T](tx, kind, id); err != nil {
			return err
		}
		if err := mark(tx, &v); err != nil {
			return err
		}
		return tx.Put(kind, id, v)
	})
	if errors.Is(err, record.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := settle(v); err != nil {
		return err
	}
	return n.Store.Update(ctx, func(tx *record.Tx) error { return tx.Delete(kind, id) })
}

// filter returns the elements that keep holds for.
func filter[T any](all []T, keep func(T) bool) []T {
	var out []T
	for _, v := range all {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}
