package cluster

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// ApplyOptions say how objects are applied.
type ApplyOptions struct {
	// Set, when not empty, is the set in which the objects are remembered, for Prune.
	Set string
	// Refuse makes a field that another manager has set to something else a terminal fault; by
	// default it is taken over.
	Refuse bool
}

// Apply applies objects by server-side apply: in their order, but name spaces and definitions
// first and webhooks last. Each is tried until the API server takes it, refuses it for good, or
// ctx ends.
func (c *Client) Apply(ctx context.Context, objects []plan.Object, o ApplyOptions) error {
	objects = ordered(objects)
	var set *inventory
	if o.Set != "" {
		var err error
		if set, err = c.intend(ctx, o.Set, objects); err != nil {
			return err
		}
	}
	for _, object := range objects {
		id := identify(object)
		if set != nil {
			object = labelled(object, o.Set)
		}
		body, err := json.Marshal(object)
		if err != nil {
			return fault.Terminalf("apply %s: %w", id, err)
		}
		var result applied
		err = retry(ctx, "apply "+id.String(), func(ctx context.Context) error {
			var err error
			result, err = c.apply(ctx, id, body, !o.Refuse)
			return err
		})
		if err != nil {
			return err
		}
		if set != nil {
			set.note(id, result)
		}
	}
	if set == nil {
		return nil
	}
	return c.keep(ctx, set)
}

// applied is what the API server made of an object.
type applied struct {
	uid     string
	created bool
}

func (c *Client) apply(ctx context.Context, id identity, body []byte, force bool) (applied, error) {
	found, err := c.mapping(ctx, id.version, id.kind)
	if err != nil {
		return applied{}, err
	}
	path := id.path(found) + "?force=" + strconv.FormatBool(force) + "&fieldManager=" + FieldManager
	var answer struct {
		Metadata metadata `json:"metadata"`
	}
	// JSON is YAML, and this media type is the one that every supported server knows.
	code, err := c.exchange(ctx, http.MethodPatch, path, "application/apply-patch+yaml", body, &answer)
	if status := statusOf(err); status != nil && (status.code == http.StatusConflict && !force || status.untyped()) {
		return applied{}, &fault.Error{Kind: fault.Terminal, Err: err}
	}
	return applied{uid: answer.Metadata.UID, created: code == http.StatusCreated}, err
}

// untyped reports whether the object does not fit its kind's schema. The API server calls that an
// internal error of its own and gives no reason but this text.
func (e *statusError) untyped() bool {
	return e.code == http.StatusInternalServerError && strings.HasPrefix(e.message, "failed to create typed patch object")
}

// metadata is what we read of an object's.
type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	Finalizers        []string          `json:"finalizers"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	Owners            []owner           `json:"ownerReferences"`
}

type owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller bool   `json:"controller"`
}

// ordered sorts objects by rank and leaves those of the same rank in their order.
func ordered(objects []plan.Object) []plan.Object {
	out := slices.Clone(objects)
	slices.SortStableFunc(out, func(a, b plan.Object) int { return identify(a).rank() - identify(b).rank() })
	return out
}

// rank is when a kind is to be applied: others live in a name space or are of a definition's
// kind, and a webhook may ask for what is applied beside it.
func (i identity) rank() int {
	switch i.kind {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		return 3
	}
	return 2
}

// labelled returns the object with the label of a set.
func labelled(object plan.Object, set string) plan.Object {
	out := maps.Clone(object)
	meta, _ := object["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	labels, _ := meta["labels"].(map[string]any)
	if labels = maps.Clone(labels); labels == nil {
		labels = map[string]any{}
	}
	labels[SetLabel] = set
	meta["labels"], out["metadata"] = labels, meta
	return out
}

// path is where the object itself is.
func (i identity) path(r resource) string { return i.collection(r) + "/" + url.PathEscape(i.name) }
