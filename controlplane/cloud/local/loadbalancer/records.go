package loadbalancer

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

// The kinds of records.
const (
	kindBalancer = "load-balancer"
	kindListener = "listener"
	kindPool     = "pool"
	kindMonitor  = "health-monitor"
	kindMember   = "pool-member"
)

// meta begins every record. One that is being deleted is no more part of a configuration.
type meta struct {
	ID       string
	Cluster  string
	Name     string
	Balancer string // the load balancer it belongs to, at any depth; of a balancer its own id
	Deleting bool   `json:",omitempty"`
}

func (m meta) live() bool { return !m.Deleting }

func newMeta(kind string, req cloud.Request, name string) meta {
	if name == "" {
		name = req.Stack + "-" + req.Name
	}
	return meta{ID: record.ID(kind, req.Key), Cluster: req.Cluster, Name: name}
}

type balancerRecord struct {
	meta
	Key     string // of the request: its port's key
	Subnet  string
	Groups  []string
	Address netip.Addr
	Started bool // its container ran once
}

type listenerRecord struct {
	meta
	Protocol string
	Port     int
}

type poolRecord struct {
	meta
	Listener, Protocol, Algorithm string
	CA                            string // PEM, of the backends' certificates
}

type monitorRecord struct {
	meta
	Pool, Type, Path, Domain string
	Delay, Timeout           time.Duration
	Retries                  int
}

type memberRecord struct {
	meta
	Pool    string
	Address netip.Addr
	Port    int
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

func live[T interface{ live() bool }](r record.Reader, kind string) ([]T, error) {
	all, err := record.List[T](r, kind)
	return filter(all, func(v T) bool { return v.live() }), err
}

func filter[T any](all []T, keep func(T) bool) []T {
	var out []T
	for _, v := range all {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// put writes the record that build returns and lets its balancer converge.
func put[T any](ctx context.Context, b *Balancers, kind, id string, build func(*record.Tx) (v T, balancer string, err error)) (cloud.Object, error) {
	var balancer string
	err := b.Store.Update(ctx, func(tx *record.Tx) error {
		v, lb, err := build(tx)
		if err != nil {
			return err
		}
		balancer = lb
		return tx.Put(kind, id, v)
	})
	if err != nil {
		return cloud.Object{}, err
	}
	return cloud.Object{Physical: id}, b.converge(ctx, balancer)
}

// remove deletes a record in two durable steps: marked, taken out of the running balancer by
// settle, forgotten. A record that is gone is no error.
func remove[T any](ctx context.Context, b *Balancers, kind, id string, mark func(*T), settle func(T) error) error {
	var v T
	err := b.Store.Update(ctx, func(tx *record.Tx) error {
		var err error
		if v, err = record.Get[T](tx, kind, id); err != nil {
			return err
		}
		mark(&v)
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
	return b.Store.Update(ctx, func(tx *record.Tx) error { return tx.Delete(kind, id) })
}
