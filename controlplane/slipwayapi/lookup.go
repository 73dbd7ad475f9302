package slipwayapi

import (
	"context"
	"net/http"
	"unicode/utf8"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// cluster finds the caller's cluster with that UUID or name.
func (s *server) cluster(ctx context.Context, ident string) (*store.Cluster, error) {
	found, err := s.Store.FindClusters(ctx, identity.FromContext(ctx).ProjectID, ident)
	if err != nil {
		return nil, err
	}
	return the("Cluster", "cluster", ident, found, func(c *store.Cluster) string { return c.UUID })
}

// node finds the node that a request names among those of the caller's clusters.
func (s *server) node(r *http.Request) (*store.Node, error) {
	ctx, ident := r.Context(), r.PathValue("node")
	found, err := s.Store.FindNodes(ctx, identity.FromContext(ctx).ProjectID, ident)
	if err != nil {
		return nil, err
	}
	return the("Node", "node", ident, found, func(n *store.Node) string { return n.ID })
}

// the returns the one that a UUID or a name means. A UUID goes before a name: another one may have
// this UUID as its name.
func the[T any](title, kind, ident string, found []T, uuid func(*T) string) (*T, error) {
	for i := range found {
		if uuid(&found[i]) == ident {
			return &found[i], nil
		}
	}
	switch len(found) {
	case 0:
		return nil, problem(http.StatusNotFound, "%s %s could not be found.", title, shown(ident))
	case 1:
		return &found[0], nil
	}
	return nil, problem(http.StatusConflict, "Multiple %ss exist with same name. Please use the %s uuid instead.", kind, kind)
}

// action finds an action of the node that a request names.
func (s *server) action(r *http.Request) (*store.Node, *store.Action, error) {
	node, err := s.node(r)
	if err != nil {
		return nil, nil, err
	}
	row, err := s.Store.Action(r.Context(), r.PathValue("action"))
	if err != nil && !store.IsNotFound(err) {
		return nil, nil, err
	}
	if err != nil || row.NodeID != node.ID {
		return nil, nil, problem(http.StatusNotFound, "Action %s of node %s could not be found.", shown(r.PathValue("action")), node.Name)
	}
	return node, row, nil
}

// shown renders a foreign value for an error.
func shown(text string) string {
	const limit = 100
	if len(text) <= limit {
		return text
	}
	end := limit
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
