package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// inside returns what others have in a name space or of a definition, in words, or nothing. To
// delete either is to delete all of that.
func (c *Client) inside(ctx context.Context, id identity) (string, error) {
	switch id.kind {
	case "Namespace":
		return c.insideNamespace(ctx, id.name)
	case "CustomResourceDefinition":
		return c.insideDefinition(ctx, id)
	}
	return "", nil
}

// insideDefinition returns an object of the defined kind.
func (c *Client) insideDefinition(ctx context.Context, id identity) (string, error) {
	var definition definition
	path := root(id.version) + "/customresourcedefinitions/" + url.PathEscape(id.name)
	if err := c.request(ctx, http.MethodGet, path, "", nil, &definition); err != nil {
		return "", err
	}
	for _, version := range definition.Spec.Versions {
		if version.Served {
			path := "/apis/" + url.PathEscape(definition.Spec.Group) + "/" + url.PathEscape(version.Name) + "/" + url.PathEscape(definition.Spec.Names.Plural)
			return c.first(ctx, path, nil)
		}
	}
	return "", nil
}

// insideNamespace asks for every kind that lives in name spaces; what Kubernetes itself puts
// into each does not count.
func (c *Client) insideNamespace(ctx context.Context, namespace string) (string, error) {
	versions, err := c.versions(ctx)
	if err != nil {
		return "", err
	}
	for _, version := range versions {
		var list struct {
			Resources []resource `json:"resources"`
		}
		if err := c.request(ctx, http.MethodGet, root(version), "", nil, &list); err != nil {
			return "", fmt.Errorf("ask what %s has: %w", version, err)
		}
		for _, r := range list.Resources {
			if !r.Namespaced || !slices.Contains(r.Verbs, "list") || strings.Contains(r.Name, "/") || passing(version, r.Name) {
				continue
			}
			path := root(version) + "/namespaces/" + url.PathEscape(namespace) + "/" + r.Name
			found, err := c.first(ctx, path, func(name string) bool { return automatic(r.Name, name) })
			if err != nil {
				return "", err
			}
			if found != "" {
				return r.Kind + " " + found, nil
			}
		}
	}
	return "", nil
}

// versions lists the group versions that are preferred, each group once.
func (c *Client) versions(ctx context.Context) ([]string, error) {
	var groups struct {
		Groups []struct {
			Preferred struct {
				GroupVersion string `json:"groupVersion"`
			} `json:"preferredVersion"`
		} `json:"groups"`
	}
	if err := c.request(ctx, http.MethodGet, "/apis", "", nil, &groups); err != nil {
		return nil, fmt.Errorf("ask for the groups of the API: %w", err)
	}
	out := []string{"v1"}
	for _, group := range groups.Groups {
		out = append(out, group.Preferred.GroupVersion)
	}
	return out, nil
}

// passing reports whether a resource holds only what comes and goes by itself: reports, and the
// endpoints of services, which count themselves.
func passing(version, name string) bool {
	return name == "events" || name == "endpoints" || strings.HasPrefix(version, "metrics.k8s.io/")
}

// automatic reports whether Kubernetes puts an object of that name into every name space.
func automatic(resource, name string) bool {
	return resource == "configmaps" && name == "kube-root-ca.crt" || resource == "serviceaccounts" && name == "default"
}

// first returns the name of the first object of a collection that stays when nothing else does:
// not what goes with its owner, nor what is being deleted, nor what pass passes over.
func (c *Client) first(ctx context.Context, path string, pass func(name string) bool) (string, error) {
	var found string
	err := list(ctx, c, path, nil, func(item *object) bool {
		m := item.Metadata
		if m.DeletionTimestamp != "" || len(m.Owners) > 0 || pass != nil && pass(m.Name) {
			return true
		}
		if found = m.Name; m.Namespace != "" && pass == nil {
			found = m.Namespace + "/" + m.Name
		}
		return false
	})
	if gone(err) {
		return "", nil
	}
	return found, err
}
