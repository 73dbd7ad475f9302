package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// resource is one entry of a discovery document (APIResourceList).
type resource struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Namespaced bool     `json:"namespaced"`
	Verbs      []string `json:"verbs"`
}

// noKindError says that the API server does not serve a kind.
type noKindError struct{ version, kind string }

func (e *noKindError) Error() string {
	return fmt.Sprintf("the API server knows no kind %s in %s", e.kind, e.version)
}

func isNoKind(err error) bool {
	var e *noKindError
	return errors.As(err, &e)
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
	err := c.request(ctx, http.MethodGet, root(version), "", nil, &list)
	if err != nil && !gone(err) {
		return resource{}, err
	}
	c.mu.Lock()
	c.resources[version] = list.Resources
	c.mu.Unlock()
	if found, ok := c.known(version, kind); ok {
		return found, nil
	}
	return resource{}, &fault.Error{Kind: fault.Retriable, Err: &noKindError{version, kind}}
}

// definition is what is read of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind   string `json:"kind"`
			Plural string `json:"plural"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
}

// neverServed reports whether a kind that discovery does not have has no definition either: a
// server that has just started knows the built-in kinds before the defined ones.
func (c *Client) neverServed(ctx context.Context, id identity) (bool, error) {
	group, version, _ := strings.Cut(id.version, "/")
	if version == "" {
		return true, nil // the core group is built in
	}
	defined := false
	err := list(ctx, c, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", nil, func(d *definition) bool {
		defined = d.Spec.Group == group && d.Spec.Names.Kind == id.kind
		return !defined
	})
	if err != nil || defined {
		return false, err
	}
	// A group that another server serves comes back with that server.
	var service struct {
		Spec struct {
			Service *struct{} `json:"service"`
		} `json:"spec"`
	}
	err = c.request(ctx, http.MethodGet, "/apis/apiregistration.k8s.io/v1/apiservices/"+url.PathEscape(version+"."+group), "", nil, &service)
	if gone(err) {
		return true, nil
	}
	return err == nil && service.Spec.Service == nil, err
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
