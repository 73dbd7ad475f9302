package conductor

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
)

// UserData renders what a node is booted with.
type UserData interface {
	// UserData returns the Ignition configuration of the node with that id.
	UserData(ctx context.Context, node string) (string, error)
}

// server is the cloud's OS::Nova::Server with the reference in user_data resolved at the last
// moment, so that the token in it is never written down by the engine.
type server struct {
	cloud.Type
	data UserData
}

func (s server) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	node, ok := strings.CutPrefix(text(req, "user_data"), userDataPrefix)
	if !ok {
		return cloud.Object{}, fault.Terminalf("server %s: user_data must come from a Slipway::Node::Registration", req.Name)
	}
	data, err := s.data.UserData(ctx, node)
	if err != nil {
		return cloud.Object{}, fmt.Errorf("user data of server %s: %w", req.Name, err)
	}
	req.Properties = maps.Clone(req.Properties)
	req.Properties["user_data"] = data
	return s.Type.Create(ctx, req)
}
