package nodeapi

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// reportFact is the fact that keeps a node's latest report.
func reportFact(node string) string { return "node-report/" + node }

// keepReport remembers a signal as the node's latest report, unless a later one is there. Its
// log stays with the signal.
func keepReport(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	latest, found, err := LastReport(ctx, tx, node.ClusterID, node.ID)
	if err != nil {
		return err
	}
	if found && latest.Time.After(signal.Time) {
		return nil
	}
	signal.Log = ""
	text, err := json.Marshal(signal)
	if err != nil {
		return err
	}
	return tx.SetFact(ctx, node.ClusterID, reportFact(node.ID), string(text))
}

// Facts reads facts of a cluster; a store and a transaction do.
type Facts interface {
	Fact(ctx context.Context, cluster, name string) (string, error)
}

// LastReport returns the node's latest report, with the newest progress, and false when it has
// not reported yet.
func LastReport(ctx context.Context, facts Facts, cluster, node string) (protocol.Signal, bool, error) {
	text, err := facts.Fact(ctx, cluster, reportFact(node))
	if store.IsNotFound(err) {
		return protocol.Signal{}, false, nil
	}
	if err != nil {
		return protocol.Signal{}, false, err
	}
	var signal protocol.Signal
	if err := json.Unmarshal([]byte(text), &signal); err != nil {
		return protocol.Signal{}, false, fmt.Errorf("latest report of node %s: %w", node, err)
	}
	return signal, true, nil
}
