package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// SetLabel is on every object that was applied to a set; its value is the set's name.
const SetLabel = "slipway.build/set"

// inventories are ConfigMaps of this name space: what a set has must be known to whichever master
// has the task next.
const inventories = "kube-system"

// inventory is what a set has. An object is in it before it is applied, so that no crash leaves
// one in the cluster that nobody remembers.
type inventory struct {
	set     string
	version string // resourceVersion of the ConfigMap; empty when there is none
	members []member
}

// member is one object of a set.
type member struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// UID is empty between the intention and the end of the task.
	UID string `json:"uid,omitempty"`
	// Adopted objects were there before us: they are let go, never deleted.
	Adopted bool `json:"adopted,omitempty"`
}

func (m member) identity() identity { return identity{m.APIVersion, m.Kind, m.Namespace, m.Name} }

// same compares objects by group, kind and name: a new version of a group is no new object.
func (i identity) same(other identity) bool {
	group := func(version string) string {
		if g, _, ok := strings.Cut(version, "/"); ok {
			return g
		}
		return ""
	}
	return group(i.version) == group(other.version) && i.kind == other.kind && i.namespace == other.namespace && i.name == other.name
}

func (v *inventory) find(id identity) *member {
	i := slices.IndexFunc(v.members, func(m member) bool { return m.identity().same(id) })
	if i < 0 {
		return nil
	}
	return &v.members[i]
}

func (v *inventory) path() string {
	return "/api/v1/namespaces/" + inventories + "/configmaps/slipway-set-" + url.PathEscape(v.set)
}

// inventory reads what a set has.
func (c *Client) inventory(ctx context.Context, set string) (*inventory, error) {
	out := &inventory{set: set}
	var object struct {
		Metadata metadata          `json:"metadata"`
		Data     map[string]string `json:"data"`
	}
	err := c.request(ctx, http.MethodGet, out.path(), "", nil, &object)
	if gone(err) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory of set %s: %w", set, err)
	}
	out.version = object.Metadata.ResourceVersion
	if text := object.Data["members"]; text != "" {
		if err := json.Unmarshal([]byte(text), &out.members); err != nil {
			// What is not remembered is not deleted either.
			return nil, fault.Terminalf("the inventory of set %s (ConfigMap %s/slipway-set-%s) is damaged: %w; delete it to begin anew", set, inventories, set, err)
		}
	}
	return out, nil
}

// put writes the inventory, if it is still the one that was read. An empty one is deleted.
func (c *Client) put(ctx context.Context, v *inventory) error {
	members, err := json.Marshal(v.members)
	if err != nil {
		return fault.Terminalf("write the inventory of set %s: %w", v.set, err)
	}
	meta := map[string]any{"name": "slipway-set-" + v.set, "namespace": inventories, "labels": map[string]string{"app.kubernetes.io/managed-by": FieldManager}}
	object := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": map[string]string{"members": string(members)}}
	method, path := http.MethodPut, v.path()
	switch {
	case len(v.members) == 0 && v.version == "":
		return nil
	case len(v.members) == 0:
		method, object = http.MethodDelete, map[string]any{"preconditions": map[string]string{"resourceVersion": v.version}}
	case v.version == "":
		method, path = http.MethodPost, path[:strings.LastIndex(path, "/")]
	default:
		meta["resourceVersion"] = v.version
	}
	body, err := json.Marshal(object)
	if err != nil {
		return fault.Terminalf("write the inventory of set %s: %w", v.set, err)
	}
	var answer struct {
		Metadata metadata `json:"metadata"`
	}
	if err := c.request(ctx, method, path, "application/json", body, &answer); err != nil {
		return fmt.Errorf("write the inventory of set %s: %w", v.set, err)
	}
	v.version = answer.Metadata.ResourceVersion
	return nil
}

// intend enters objects into the set's inventory, before they are applied.
func (c *Client) intend(ctx context.Context, set string, objects []plan.Object) (*inventory, error) {
	var v *inventory
	err := retry(ctx, "prepare set "+set, func(ctx context.Context) error {
		var err error
		if v, err = c.inventory(ctx, set); err != nil {
			return err
		}
		for _, object := range objects {
			id := identify(object)
			m := v.find(id)
			if m == nil {
				v.members = append(v.members, member{APIVersion: id.version, Kind: id.kind, Namespace: id.namespace, Name: id.name})
				m = &v.members[len(v.members)-1]
			}
			m.APIVersion = id.version
			if m.UID != "" {
				continue
			}
			live, err := c.look(ctx, id)
			if err != nil {
				return err
			}
			// The label is ours from a run that was killed; without it somebody else was first.
			m.Adopted = live != nil && live.Labels[SetLabel] != set
		}
		return c.put(ctx, v)
	})
	return v, err
}

// note remembers what became of an object. One that was there although we have not made it, and
// is not the one that we have made, is somebody else's.
func (v *inventory) note(id identity, result applied) {
	m := v.find(id)
	switch {
	case result.created:
		m.Adopted = false
	case m.UID != "" && m.UID != result.uid:
		m.Adopted = true
	}
	m.UID = result.uid
}

// keep writes what was noted. When somebody else has changed the inventory meanwhile (two tasks
// may fill one set), what we know of our objects is put into the newest.
func (c *Client) keep(ctx context.Context, v *inventory) error {
	return retry(ctx, "remember set "+v.set, func(ctx context.Context) error {
		err := c.put(ctx, v)
		if status := statusOf(err); status == nil || status.code != http.StatusConflict {
			return err
		}
		newest, readErr := c.inventory(ctx, v.set)
		if readErr != nil {
			return readErr
		}
		for _, m := range v.members {
			if there := newest.find(m.identity()); there != nil && m.UID != "" {
				*there = m
			}
		}
		v.version, v.members = newest.version, newest.members
		return err
	})
}

// look returns the object's metadata, or nil when it is not there.
func (c *Client) look(ctx context.Context, id identity) (*metadata, error) {
	found, err := c.mapping(ctx, id.version, id.kind)
	if isNoKind(err) {
		gone, err := c.neverServed(ctx, id)
		if err != nil || gone {
			return nil, err
		}
		return nil, fault.Retriablef("the API server does not serve %s in %s yet", id.kind, id.version)
	}
	if err != nil {
		return nil, err
	}
	var live struct {
		Metadata metadata `json:"metadata"`
	}
	err = c.request(ctx, http.MethodGet, id.path(found), "", nil, &live)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", id, err)
	}
	return &live.Metadata, nil
}
