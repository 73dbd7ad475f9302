package conductor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

// userDataPrefix begins the reference that stands for a node's user data in templates, so
// that the join token in it is in no property, attribute or event.
const userDataPrefix = "node-user-data:"

// tokenLife bounds how long a node that was asked for may take to boot and join.
const tokenLife = 2 * time.Hour

// podPrefixBits is the size of each node's share of the pods' network.
const podPrefixBits = 24

// registration is Slipway::Node::Registration: it makes the node known to the node API, with
// its one-time token and its share of the pods' network. The node's id is the resource's key.
type registration struct {
	store  *store.Store
	sealer *store.Sealer
}

func (registration) Schema() cloud.Schema {
	return cloud.Schema{
		Properties: []cloud.Property{
			{Name: "name", Kind: cloud.String, Required: true},
			{Name: "role", Kind: cloud.String, Required: true},
			{Name: "nodegroup", Kind: cloud.String, Required: true},
			{Name: "address", Kind: cloud.String, Required: true},
			{Name: "pods_network_cidr", Kind: cloud.String, Required: true},
		},
		Attributes: []string{"user_data", "pod_cidr", "node_id"},
	}
}

func (r registration) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	var node *store.Node
	err := r.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Node(ctx, req.Key)
		if !store.IsNotFound(err) {
			node = found
			return err
		}
		node, err = r.newNode(ctx, tx, req)
		if err != nil {
			return err
		}
		return tx.InsertNode(ctx, node)
	})
	if err != nil {
		return cloud.Object{}, fmt.Errorf("register node %s: %w", text(req, "name"), err)
	}
	return cloud.Object{Physical: node.ID, Attributes: map[string]any{
		"user_data": userDataPrefix + node.ID,
		"pod_cidr":  node.PodCIDR,
		"node_id":   node.ID,
	}}, nil
}

func (r registration) newNode(ctx context.Context, tx *store.Tx, req cloud.Request) (*store.Node, error) {
	index, err := tx.NextPodIndex(ctx, req.Cluster)
	if err != nil {
		return nil, err
	}
	pods, err := podRange(text(req, "pods_network_cidr"), index)
	if err != nil {
		return nil, err
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("make join token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(random)
	sealed, err := r.sealer.Seal([]byte(token), tokenContext(req.Key))
	if err != nil {
		return nil, err
	}
	return &store.Node{
		ID: req.Key, ClusterID: req.Cluster, Nodegroup: text(req, "nodegroup"),
		Name: text(req, "name"), Role: text(req, "role"), Address: text(req, "address"),
		PodIndex: index, PodCIDR: pods.String(),
		TokenHash: store.HashToken(token), TokenSealed: sealed, TokenExpiresAt: tx.Now().Add(tokenLife),
	}, nil
}

func (r registration) Delete(ctx context.Context, req cloud.Request) error {
	return r.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteNode(ctx, req.Key) })
}

// podRange returns the index-th /24 of the supernet.
func podRange(supernet string, index int) (netip.Prefix, error) {
	all, err := netip.ParsePrefix(supernet)
	if err != nil || !all.Addr().Is4() || all.Bits() > podPrefixBits {
		return netip.Prefix{}, fault.Terminalf("pods_network_cidr %q is no IPv4 network that holds a /%d", supernet, podPrefixBits)
	}
	if index >= 1<<(podPrefixBits-all.Bits()) {
		return netip.Prefix{}, fault.Terminalf("pods' network %s has no /%d left for node number %d", supernet, podPrefixBits, index)
	}
	a := all.Masked().Addr().As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(index) << (32 - podPrefixBits)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), podPrefixBits), nil
}

func tokenContext(node string) string { return "join-token/" + node }

// text returns a string property, which the engine has checked against the schema.
func text(req cloud.Request, name string) string {
	s, _ := req.Properties[name].(string)
	return s
}
