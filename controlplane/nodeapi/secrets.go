package nodeapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/controlplane/store"
)

// secret answers with one version of a secret that the node's current plan names.
func (s *Server) secret(w http.ResponseWriter, r *http.Request, node *store.Node) error {
	name, version, ok := strings.Cut(r.PathValue("secret"), "@")
	if !ok || name == "" || version == "" {
		return refuse(http.StatusBadRequest, codeBadRequest, "a secret is named <name>@<version>")
	}
	ctx := r.Context()
	p, err := s.currentPlan(ctx, node)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Secrets, func(x plan.Secret) bool { return x.Name == name && x.Version == version }) {
		return later(http.StatusForbidden, codeNotInPlan, "the current plan of node %s names no secret %s@%s", node.Name, name, version)
	}
	value, err := s.Secrets.Secret(ctx, node.ClusterID, name, version)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(value) // the node may have gone; it asks again
	return nil
}

// StoreSecrets reads sealed secrets from the store.
type StoreSecrets struct {
	Store  *store.Store
	Sealer *store.Sealer
	// Context returns what a secret was sealed for.
	Context func(cluster, name, version string) string
}

// Secret implements Secrets.
func (s StoreSecrets) Secret(ctx context.Context, cluster, name, version string) ([]byte, error) {
	row, err := s.Store.Secret(ctx, cluster, name, version)
	if err != nil {
		return nil, err
	}
	value, err := s.Sealer.Open(row.Sealed, s.Context(cluster, name, version))
	if err != nil {
		return nil, fmt.Errorf("secret %s@%s of cluster %s: %w", name, version, cluster, err)
	}
	return value, nil
}
