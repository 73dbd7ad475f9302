package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// AwaitAvailable waits until those of the objects that get ready are, in their present
// generation: Deployment, DaemonSet, StatefulSet, Job, CustomResourceDefinition, Namespace,
// APIService. ctx bounds it; the error names what was awaited, how far it was, and what its pods
// and events say about why.
func (c *Client) AwaitAvailable(ctx context.Context, objects []plan.Object) error {
	for _, object := range ordered(objects) {
		id := identify(object)
		ready := readiness(id)
		if ready == nil {
			continue
		}
		if err := c.watch(ctx, id, ready); err != nil {
			return fmt.Errorf("wait for %s: %w%s", id, err, c.explain(ctx, id))
		}
	}
	return nil
}

// AwaitNodeReady waits until the node's Ready condition is True.
func (c *Client) AwaitNodeReady(ctx context.Context, node string) error {
	if err := c.watch(ctx, identity{version: "v1", kind: "Node", name: node}, nodeReady); err != nil {
		return fmt.Errorf("wait for node %s to be Ready: %w", node, err)
	}
	return nil
}

// condition looks at one object and says whether it is as awaited, and if not, how it is; an
// error says that it never will be.
type condition func(raw json.RawMessage) (done bool, state string, err error)

// readiness returns the condition of a kind, or nil for one that is ready as soon as it is there.
func readiness(id identity) condition {
	group, _, _ := strings.Cut(id.version, "/")
	switch group + "/" + id.kind {
	case "apps/Deployment", "apps/StatefulSet":
		return replicated
	case "apps/DaemonSet":
		return daemonSet
	case "batch/Job":
		return job
	case "apiextensions.k8s.io/CustomResourceDefinition":
		return conditionTrue("Established")
	case "apiregistration.k8s.io/APIService":
		return conditionTrue("Available")
	case "v1/Namespace":
		return namespaceActive
	}
	return nil
}

// watched returns the resource of a kind that is awaited. They are the server's own, so
// discovery is not asked for.
func watched(kind string) resource {
	switch kind {
	case "Node":
		return resource{Name: "nodes"}
	case "Namespace":
		return resource{Name: "namespaces"}
	case "Deployment":
		return resource{Name: "deployments", Namespaced: true}
	case "StatefulSet":
		return resource{Name: "statefulsets", Namespaced: true}
	case "DaemonSet":
		return resource{Name: "daemonsets", Namespaced: true}
	case "Job":
		return resource{Name: "jobs", Namespaced: true}
	case "CustomResourceDefinition":
		return resource{Name: "customresourcedefinitions"}
	default:
		return resource{Name: "apiservices"}
	}
}

// object is what the conditions read.
type object struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Replicas *int64 `json:"replicas"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64            `json:"observedGeneration"`
		Phase              string           `json:"phase"`
		Updated            int64            `json:"updatedReplicas"`
		Available          int64            `json:"availableReplicas"`
		Desired            int64            `json:"desiredNumberScheduled"`
		UpdatedScheduled   int64            `json:"updatedNumberScheduled"`
		AvailableScheduled int64            `json:"numberAvailable"`
		Conditions         []conditionState `json:"conditions"`
	} `json:"status"`
}

type conditionState struct{ Type, Status, Reason, Message string }

func (s conditionState) String() string {
	text := s.Reason
	if s.Message != "" {
		text += ": " + s.Message
	}
	return text
}

func (o *object) condition(kind string) *conditionState {
	for i := range o.Status.Conditions {
		if o.Status.Conditions[i].Type == kind {
			return &o.Status.Conditions[i]
		}
	}
	return nil
}

// read makes a condition of a function of the object.
func read(holds func(*object) (bool, string, error)) condition {
	return func(raw json.RawMessage) (bool, string, error) {
		var o object
		if json.Unmarshal(raw, &o) != nil {
			return false, "unreadable", nil
		}
		return holds(&o)
	}
}

func replicated(raw json.RawMessage) (bool, string, error) {
	return read(func(o *object) (bool, string, error) {
		want := int64(1)
		if o.Spec.Replicas != nil {
			want = *o.Spec.Replicas
		}
		s := o.Status
		state := fmt.Sprintf("%d of %d replicas available", s.Available, want)
		if p := o.condition("Progressing"); p != nil && p.Status == "False" {
			state += ", " + p.String()
		}
		return s.ObservedGeneration >= o.Metadata.Generation && s.Updated >= want && s.Available >= want, state, nil
	})(raw)
}

func daemonSet(raw json.RawMessage) (bool, string, error) {
	return read(func(o *object) (bool, string, error) {
		s := o.Status
		done := s.ObservedGeneration >= o.Metadata.Generation && s.UpdatedScheduled >= s.Desired && s.AvailableScheduled >= s.Desired
		return done, fmt.Sprintf("%d of %d pods available", s.AvailableScheduled, s.Desired), nil
	})(raw)
}

func job(raw json.RawMessage) (bool, string, error) {
	return read(func(o *object) (bool, string, error) {
		if failed := o.condition("Failed"); failed != nil && failed.Status == "True" {
			return false, "failed", fault.Terminalf("it failed: %s", failed)
		}
		complete := o.condition("Complete")
		return complete != nil && complete.Status == "True", "not complete", nil
	})(raw)
}

func namespaceActive(raw json.RawMessage) (bool, string, error) {
	return read(func(o *object) (bool, string, error) { return o.Status.Phase == "Active", o.Status.Phase, nil })(raw)
}

func nodeReady(raw json.RawMessage) (bool, string, error) {
	return read(func(o *object) (bool, string, error) {
		c := o.condition("Ready")
		if c == nil {
			return false, "registered, without a Ready condition", nil
		}
		return c.Status == "True", c.String(), nil
	})(raw)
}

func conditionTrue(kind string) condition {
	return read(func(o *object) (bool, string, error) {
		c := o.condition(kind)
		if c == nil {
			return false, "without a condition " + kind, nil
		}
		return c.Status == "True", fmt.Sprintf("%s is %s, %s", kind, c.Status, c), nil
	})
}
