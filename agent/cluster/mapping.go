package cluster

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// resource is one entry of a discovery document (APIResourceList).
type resource struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// mapping returns the resource of an object's kind, from the API server's discovery. A kind that
// is not there is a retriable fault: its definition may have been applied a moment ago.
func (c *Client) mapping(ctx context.Context, version, kind string) (resource, error) {
	if found, ok := c.known(version, kind); ok {
		return found, nil
	}
	var list struct {
		Resources []resource `json:"resources"`
	}
	if err := c.request(ctx, http.MethodGet, root(version), "", nil, &list); err != nil {
		return resource{}, err
	}
	c.mu.Lock()
	c.resources[version] = list.Resources
	c.mu.Unlock()
	if found, ok := c.known(version, kind); ok {
		return found, nil
	}
	return resource{}, fault.Retriablef("the API server knows no kind %s in %s", kind, version)
}

func (c *Client) known(version, kind string) (resource, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.resources[version] {
		if r.Kind == kind && !strings.Contains(r.Name, "/") {
			return r, true
		}
	}
	return resource{}, false
}

// root is where a group version's resources are.
func root(version string) string {
	if strings.Contains(version, "/") {
		return "/apis/" + version
	}
	return "/api/" + version
}

// identity is what names an object.
type identity struct{ version, kind, namespace, name string }

func identify(object plan.Object) identity {
	text := func(value any) string { s, _ := value.(string); return s }
	metadata, _ := object["metadata"].(map[string]any)
	return identity{text(object["apiVersion"]), text(object["kind"]), text(metadata["namespace"]), text(metadata["name"])}
}

func (i identity) String() string {
	if i.namespace == "" {
		return i.kind + " " + i.name
	}
	return i.kind + " " + i.namespace + "/" + i.name
}

// collection returns the path of the collection that the object is in.
func (i identity) collection(r resource) string {
	path := root(i.version)
	if r.Namespaced {
		namespace := i.namespace
		if namespace == "" {
			namespace = "default"
		}
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	return path + "/" + r.Name
}
