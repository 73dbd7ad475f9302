package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// Drain cordons a node and evicts its pods, until none is left but those of DaemonSets and the
// static ones. It looks at the node anew in every round, so it goes on wherever an earlier run
// was killed. A pod that its budgets protect is asked for again until ctx ends; the error then
// names every pod that is left, and why. A node that is not there is drained.
func (c *Client) Drain(ctx context.Context, name string, o plan.Drain) (map[string]string, error) {
	d := &draining{Client: c, name: name, options: o, evicted: map[string]bool{}}
	was, err := c.schedulable(ctx, name, false)
	if err == nil {
		err = d.run(ctx)
	} else if there, lookErr := c.node(ctx, name); lookErr == nil && there == nil {
		return map[string]string{"evicted": "0"}, nil
	}
	if err != nil && o.Restore && was == cordonOurs {
		err = errors.Join(err, c.restore(ctx, name))
	}
	if err != nil {
		return nil, fmt.Errorf("drain node %s: %w", name, err)
	}
	return map[string]string{"evicted": strconv.Itoa(len(d.evicted)), "cordoned": was}, nil
}

// restoreTimeout bounds the way back after a drain that failed, mostly because its time was over.
const restoreTimeout = 15 * time.Second

func (c *Client) restore(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if _, err := c.Uncordon(ctx, name); err != nil {
		return fmt.Errorf("the node stays cordoned: %w", err)
	}
	return nil
}

// draining is one drain.
type draining struct {
	*Client
	name    string
	options plan.Drain
	evicted map[string]bool // by UID
}

func (d *draining) run(ctx context.Context) error {
	waits := backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}
	left := -1
	return waits.Retry(ctx, func(ctx context.Context) error {
		pods, err := d.pods(ctx)
		if err != nil {
			return err
		}
		if err := d.refuse(pods); err != nil {
			return err
		}
		var reasons []string
		for _, p := range pods {
			if reason := d.evict(ctx, p); reason != "" {
				reasons = append(reasons, "pod "+p.name()+" "+reason)
			}
		}
		if len(pods) == 0 {
			return nil
		}
		if len(pods) != left { // it moves
			left = len(pods)
			waits.Reset()
		}
		return fault.Retriablef("%d pods are left: %s", left, strings.Join(shorten(reasons), "; "))
	})
}

// pods returns the node's pods that have to go.
func (d *draining) pods(ctx context.Context) ([]*pod, error) {
	var out []*pod
	query := url.Values{"fieldSelector": {"spec.nodeName=" + d.name}}
	err := list(ctx, d.Client, "/api/v1/pods", query, func(p *pod) bool {
		if !p.stays() {
			out = append(out, p)
		}
		return true
	})
	return out, err
}

// stays reports whether a pod belongs to the node: a static one, which the API server knows as a
// mirror that comes back, or one of a DaemonSet, which would be made again at once.
func (p *pod) stays() bool {
	if _, mirror := p.Metadata.Annotations["kubernetes.io/config.mirror"]; mirror {
		return true
	}
	o := p.controller()
	return o != nil && (o.Kind == "DaemonSet" && strings.HasPrefix(o.APIVersion, "apps/") || o.Kind == "Node")
}

func (p *pod) controller() *owner {
	i := slices.IndexFunc(p.Metadata.Owners, func(o owner) bool { return o.Controller })
	if i < 0 {
		return nil
	}
	return &p.Metadata.Owners[i]
}

// over reports whether the pod's work is done, so that nothing is lost with it.
func (p *pod) over() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

// refuse names all pods that would lose something which the plan does not give up, before any
// pod is evicted.
func (d *draining) refuse(pods []*pod) error {
	var lost []string
	for _, p := range pods {
		switch {
		case p.over(), p.Metadata.DeletionTimestamp != "":
		case d.options.Unmanaged != plan.PodsDelete && p.controller() == nil:
			lost = append(lost, "pod "+p.name()+" has no controller that would make it again (drain.unmanaged: delete gives it up)")
		case d.options.EmptyDir != plan.PodsDelete && p.emptyDir():
			lost = append(lost, "pod "+p.name()+" has an emptyDir volume, which is lost with it (drain.emptyDir: delete gives it up)")
		}
	}
	if len(lost) > 0 {
		return fault.Terminalf("%s", strings.Join(shorten(lost), "; "))
	}
	return nil
}

func (p *pod) emptyDir() bool {
	for _, v := range p.Spec.Volumes {
		if len(v.EmptyDir) > 0 && string(v.EmptyDir) != "null" {
			return true
		}
	}
	return false
}

// evict asks for the eviction of a pod and returns why the pod is still there, or nothing.
func (d *draining) evict(ctx context.Context, p *pod) string {
	if p.Metadata.DeletionTimestamp != "" {
		text := "is ending since " + p.Metadata.DeletionTimestamp
		if len(p.Metadata.Finalizers) > 0 {
			text += ", with the finalizers " + strings.Join(p.Metadata.Finalizers, ", ")
		}
		return text
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata":      map[string]string{"name": p.Metadata.Name, "namespace": p.Metadata.Namespace},
		"deleteOptions": map[string]any{"preconditions": map[string]string{"uid": p.Metadata.UID}},
	})
	if err != nil {
		return err.Error()
	}
	path := "/api/v1/namespaces/" + url.PathEscape(p.Metadata.Namespace) + "/pods/" + url.PathEscape(p.Metadata.Name) + "/eviction"
	err = d.request(ctx, http.MethodPost, path, "application/json", body, nil)
	status := statusOf(err)
	switch {
	case err == nil:
		d.evicted[p.Metadata.UID] = true
		return "is ending"
	case status != nil && (status.code == http.StatusNotFound || status.code == http.StatusConflict):
		return "" // it is gone, or another one has its name; the next round sees
	case status != nil && status.code == http.StatusTooManyRequests:
		return "may not be evicted yet: " + strings.Join(append([]string{status.message}, status.causes...), " ")
	}
	return "cannot be evicted: " + err.Error()
}
