// Package timeline reads out of a cluster's events when each phase of its creation was
// reached: the same phases for the table of `slipway up`, for the benchmark, and for a person
// who asks where the time goes.
package timeline

import (
	"strings"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

// Phase is one phase of a creation.
type Phase struct {
	Name string `json:"name"`
	// Reached is the time from the beginning until the last node or resource had reached it, in
	// seconds.
	Reached float64 `json:"reached"`
}

// The phases, in the order in which they are reached.
var order = []string{
	"network", "servers", "joined", "pulling", "staged", "switched", "nodes healthy", "cluster objects", "complete",
}

// Phases returns the phases that the events show, in their order, with times counted from
// begun. root is the cluster's own stack: its completion is the last phase.
func Phases(events []apiclient.Event, begun time.Time, root string) []Phase {
	last := map[string]time.Time{}
	for _, e := range events {
		if name := of(e, root); name != "" && e.Time.After(last[name]) {
			last[name] = e.Time
		}
	}
	var phases []Phase
	for _, name := range order {
		if at, ok := last[name]; ok {
			phases = append(phases, Phase{name, at.Sub(begun).Seconds()})
		}
	}
	return phases
}

// of says which phase an event ends, if any.
func of(e apiclient.Event, root string) string {
	switch {
	case e.Status == "SIGNAL_IN_PROGRESS":
		return Signal(e.StatusReason, e.Resource)
	case e.Status != "CREATE_COMPLETE":
		return ""
	case e.Resource == root:
		return "complete"
	case e.Resource == "kube-master", e.Resource == "kube-minion":
		return "servers"
	case strings.HasPrefix(e.Type, "OS::Neutron::"):
		return "network"
	default:
		return ""
	}
}

// Signal says which phase a node's signal reports, by the reason of its event and the
// resource that it is about.
func Signal(reason, resource string) string {
	if reason == "Signal: the agent has begun" {
		return "joined"
	}
	rest, ok := strings.CutPrefix(reason, "Signal: deployment ")
	if !ok {
		return ""
	}
	_, phase, _ := strings.Cut(rest, " ")
	switch phase {
	case "pulling", "staged", "switched", "joined":
		return phase
	case "succeeded":
		if resource == "kube_cluster_deploy" {
			return "cluster objects"
		}
		return "nodes healthy"
	default:
		return ""
	}
}
