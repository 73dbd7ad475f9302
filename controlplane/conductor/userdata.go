package conductor

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/imagebuild/ignition"
)

// NodeData renders the user data of registered nodes.
type NodeData struct {
	Store  *store.Store
	Sealer *store.Sealer
	// ControlPlane is the URL of the node API as nodes reach it, CA the PEM of who signs its
	// certificate.
	ControlPlane string
	CA           string
	// Keypair finds the cluster's public key in the cloud.
	Keypair func(ctx context.Context, project, name string) (string, error)
}

// usedToken stands in the user data of a node whose token was used and is gone. Such data are
// only asked for again when a crash made the engine repeat a server's creation, and the
// server then keeps what it was booted with.
const usedToken = "used"

// UserData implements the interface of the same name.
func (d NodeData) UserData(ctx context.Context, id string) (string, error) {
	node, err := d.Store.Node(ctx, id)
	if err != nil {
		return "", err
	}
	cluster, err := d.Store.Cluster(ctx, node.ClusterID)
	if err != nil {
		return "", err
	}
	token := usedToken
	if len(node.TokenSealed) > 0 {
		plain, err := d.Sealer.Open(node.TokenSealed, tokenContext(id))
		if err != nil {
			return "", err
		}
		token = string(plain)
	}
	var keys []string
	if cluster.Keypair != nil && *cluster.Keypair != "" {
		key, err := d.Keypair(ctx, cluster.ProjectID, *cluster.Keypair)
		if err != nil {
			return "", fmt.Errorf("keypair %s: %w", *cluster.Keypair, err)
		}
		keys = append(keys, key)
	}
	data, err := ignition.UserData(ignition.Node{
		Hostname: node.Name,
		Agent: protocol.AgentConfig{
			ControlPlane: d.ControlPlane,
			CA:           d.CA,
			Node:         id,
			Token:        token,
		},
		AuthorizedKeys: keys,
	})
	return string(data), err
}

var (
	_ UserData   = NodeData{}
	_ cloud.Type = server{}
)
