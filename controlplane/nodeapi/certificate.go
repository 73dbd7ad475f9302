package nodeapi

import (
	"context"
	"crypto/x509"
	"fmt"

	"slipway.build/slipway/controlplane/store"
)

// Certificate returns the node's own certificate, and false when it has not joined.
func Certificate(ctx context.Context, facts Facts, node *store.Node) (*x509.Certificate, bool, error) {
	text, err := facts.Fact(ctx, node.ClusterID, certificateFact(node.ID))
	if store.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	leaf, err := parseCertificate(text)
	if err != nil {
		return nil, false, fmt.Errorf("certificate of node %s: %w", node.Name, err)
	}
	return leaf, true, nil
}
