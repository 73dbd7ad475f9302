package join

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/protocol"
)

// Known is what a node learnt when it joined and what is no secret.
type Known struct {
	Node         string
	ControlPlane string
	PlanKeys     []protocol.PlanKey
	Dropped      []protocol.PlanKey // not believed any more
}

// EveryPlanKey is what Identity's method of that name returns.
func (k *Known) EveryPlanKey() []protocol.PlanKey { return slices.Concat(k.PlanKeys, k.Dropped) }

// ReadKnown reads it from the identity kept in dir without touching the node's key;
// fs.ErrNotExist when the node has not joined yet.
func ReadKnown(dir string) (*Known, error) {
	raw, err := os.ReadFile(filepath.Join(dir, joinedFile))
	if err != nil {
		return nil, fmt.Errorf("read the node's identity: %w", err)
	}
	var j joined
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("read the node's identity: %s: %w", joinedFile, err)
	}
	return &Known{Node: j.Node, ControlPlane: j.ControlPlane, PlanKeys: j.Response.PlanKeys, Dropped: j.Dropped}, nil
}
