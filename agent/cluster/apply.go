package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// Apply applies objects in order by server-side apply; each is tried until the API server takes
// it, refuses it for good, or ctx ends.
func (c *Client) Apply(ctx context.Context, objects []plan.Object) error {
	for _, object := range objects {
		id := identify(object)
		body, err := json.Marshal(object)
		if err != nil {
			return fault.Terminalf("apply %s: %w", id, err)
		}
		err = retry(ctx, "apply "+id.String(), func(ctx context.Context) error { return c.apply(ctx, id, body) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) apply(ctx context.Context, id identity, body []byte) error {
	found, err := c.mapping(ctx, id.version, id.kind)
	if err != nil {
		return err
	}
	path := id.collection(found) + "/" + url.PathEscape(id.name) + "?force=true&fieldManager=" + FieldManager
	// JSON is YAML, and this media type is the one that every supported server knows.
	return c.request(ctx, http.MethodPatch, path, "application/apply-patch+yaml", body, nil)
}

// AwaitAvailable waits until the Deployments and DaemonSets among objects are available, in
// their present generation. ctx bounds it; the error names what was awaited and how far it was.
func (c *Client) AwaitAvailable(ctx context.Context, objects []plan.Object) error {
	for _, object := range objects {
		id := identify(object)
		ready := readiness(id.kind)
		if ready == nil {
			continue
		}
		if err := c.watch(ctx, id, ready); err != nil {
			return fmt.Errorf("wait for %s: %w", id, err)
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

// condition looks at one object and says whether it is as awaited, and if not, how it is.
type condition func(raw json.RawMessage) (done bool, state string)

func readiness(kind string) condition {
	switch kind {
	case "Deployment":
		return deploymentAvailable
	case "DaemonSet":
		return daemonSetAvailable
	default:
		return nil
	}
}

func deploymentAvailable(raw json.RawMessage) (bool, string) {
	var o struct {
		Metadata struct {
			Generation int64 `json:"generation"`
		} `json:"metadata"`
		Spec struct {
			Replicas *int64 `json:"replicas"`
		} `json:"spec"`
		Status struct {
			ObservedGeneration int64 `json:"observedGeneration"`
			Updated            int64 `json:"updatedReplicas"`
			Available          int64 `json:"availableReplicas"`
		} `json:"status"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return false, "unreadable"
	}
	want := int64(1)
	if o.Spec.Replicas != nil {
		want = *o.Spec.Replicas
	}
	done := o.Status.ObservedGeneration >= o.Metadata.Generation && o.Status.Updated >= want && o.Status.Available >= want
	return done, fmt.Sprintf("%d of %d replicas available", o.Status.Available, want)
}

func daemonSetAvailable(raw json.RawMessage) (bool, string) {
	var o struct {
		Metadata struct {
			Generation int64 `json:"generation"`
		} `json:"metadata"`
		Status struct {
			ObservedGeneration int64 `json:"observedGeneration"`
			Desired            int64 `json:"desiredNumberScheduled"`
			Updated            int64 `json:"updatedNumberScheduled"`
			Available          int64 `json:"numberAvailable"`
		} `json:"status"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return false, "unreadable"
	}
	s := o.Status
	done := s.ObservedGeneration >= o.Metadata.Generation && s.Updated >= s.Desired && s.Available >= s.Desired
	return done, fmt.Sprintf("%d of %d pods available", s.Available, s.Desired)
}

func nodeReady(raw json.RawMessage) (bool, string) {
	var o struct {
		Status struct {
			Conditions []struct{ Type, Status, Reason, Message string } `json:"conditions"`
		} `json:"status"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return false, "unreadable"
	}
	for _, condition := range o.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True", fmt.Sprintf("%s: %s", condition.Reason, condition.Message)
		}
	}
	return false, "registered, without a Ready condition"
}
