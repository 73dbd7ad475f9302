package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"slipway.build/slipway/agent/fault"
)

// cordonedBy is on a node that a task has cordoned; Uncordon takes back only that. An operator
// who has cordoned a node by hand finds it cordoned after an upgrade, too.
const cordonedBy = "slipway.build/cordoned"

// Cordon makes a node unschedulable. Its output says whether it was so before.
func (c *Client) Cordon(ctx context.Context, name string) (map[string]string, error) {
	was, err := c.schedulable(ctx, name, false)
	if err != nil {
		return nil, fmt.Errorf("cordon node %s: %w", name, err)
	}
	return map[string]string{"cordoned": was}, nil
}

// Uncordon takes back what Cordon or Drain did. A node that somebody else has cordoned stays so,
// and the output says it.
func (c *Client) Uncordon(ctx context.Context, name string) (map[string]string, error) {
	was, err := c.schedulable(ctx, name, true)
	if err != nil {
		return nil, fmt.Errorf("uncordon node %s: %w", name, err)
	}
	return map[string]string{"cordoned": was}, nil
}

// Whom a node's cordon is from, as outputs tell it.
const (
	cordonNone   = "no"
	cordonOurs   = "by slipway"
	cordonOthers = "by others"
)

// schedulable changes spec.unschedulable and our mark in one request, which counts only for the
// node as it was read. It returns whose cordon the node has afterwards.
func (c *Client) schedulable(ctx context.Context, name string, want bool) (string, error) {
	var result string
	err := retry(ctx, "change spec.unschedulable", func(ctx context.Context) error {
		node, err := c.node(ctx, name)
		if err != nil {
			return err
		}
		if node == nil {
			return fault.Terminalf("there is no such node")
		}
		ours := node.Metadata.Annotations[cordonedBy] != ""
		switch {
		case node.Spec.Unschedulable && !ours:
			result = cordonOthers
			return nil
		case node.Spec.Unschedulable == !want && ours == !want:
			result = map[bool]string{true: cordonNone, false: cordonOurs}[want]
			return nil
		}
		var mark any = "true"
		result = cordonOurs
		if want {
			mark, result = nil, cordonNone
		}
		patch := map[string]any{
			"metadata": map[string]any{"resourceVersion": node.Metadata.ResourceVersion, "annotations": map[string]any{cordonedBy: mark}},
			"spec":     map[string]any{"unschedulable": !want},
		}
		body, err := json.Marshal(patch)
		if err != nil {
			return fault.Terminalf("%w", err)
		}
		return c.request(ctx, http.MethodPatch, nodePath(name)+"?fieldManager="+FieldManager, mergePatch, body, nil)
	})
	return result, err
}

type node struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Unschedulable bool `json:"unschedulable"`
	} `json:"spec"`
}

func nodePath(name string) string { return "/api/v1/nodes/" + url.PathEscape(name) }

// node returns a node, or nil when there is none of that name.
func (c *Client) node(ctx context.Context, name string) (*node, error) {
	out := new(node)
	err := c.request(ctx, http.MethodGet, nodePath(name), "", nil, out)
	if gone(err) {
		return nil, nil
	}
	return out, err
}

// DeleteNode deletes a Node object; one that is not there is deleted already. A kubelet that
// still runs would register it anew, without what tasks had put on it.
func (c *Client) DeleteNode(ctx context.Context, name string) (map[string]string, error) {
	err := retry(ctx, "delete node "+name, func(ctx context.Context) error {
		node, err := c.node(ctx, name)
		if err != nil || node == nil {
			return err
		}
		if err := c.delete(ctx, identity{version: "v1", kind: "Node", name: name}, node.Metadata.UID); err != nil {
			return err
		}
		return fault.Retriablef("it is not gone yet")
	})
	return nil, err
}
