package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Resource is one resource of a stack as Heat's API shows it.
type Resource struct {
	Name         string   `json:"resource_name"`
	Physical     string   `json:"physical_resource_id"`
	Type         string   `json:"resource_type"`
	Status       string   `json:"resource_status"`
	StatusReason string   `json:"resource_status_reason"`
	RequiredBy   []string `json:"required_by"`
	// Parent is the resource in the parent stack that this resource's stack stands for; empty
	// in the outermost stack.
	Parent    string    `json:"parent_resource"`
	StackName string    `json:"stack_name"`
	Updated   time.Time `json:"updated_time"`
	Links     []Link    `json:"links"`
}

// Link is one link of an object.
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// StackID returns the id of the stack that the resource is in, from its links: Heat shows it
// nowhere else. It is empty when no link tells.
func (r Resource) StackID() string {
	for _, l := range r.Links {
		if l.Rel == "stack" {
			return lastSegment(l.Href)
		}
	}
	return ""
}

// NestedID returns the id of the stack that the resource stands for, or nothing.
func (r Resource) NestedID() string {
	for _, l := range r.Links {
		if l.Rel == "nested" {
			return lastSegment(l.Href)
		}
	}
	return ""
}

// Event is one transition of a resource or stack; Actor, who caused it, is Slipway's addition
// to Heat's form.
type Event struct {
	ID           string    `json:"id"`
	Time         time.Time `json:"event_time"`
	Resource     string    `json:"resource_name"`
	Physical     string    `json:"physical_resource_id"`
	Status       string    `json:"resource_status"`
	StatusReason string    `json:"resource_status_reason"`
	Type         string    `json:"resource_type"` // Slipway's addition too
	Actor        string    `json:"actor"`
	Links        []Link    `json:"links"`
}

// StackName returns the name of the stack that the event happened in, from its links.
func (e Event) StackName() string {
	for _, l := range e.Links {
		if l.Rel != "stack" {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(l.Href, "/"), "/")
		if len(parts) >= 2 {
			name, err := url.PathUnescape(parts[len(parts)-2])
			if err == nil {
				return name
			}
		}
	}
	return ""
}

// StackRef names one stack in Heat's API.
type StackRef struct {
	Project string
	Name    string
	ID      string
}

func (s StackRef) path() string {
	return fmt.Sprintf("/heat/v1/%s/stacks/%s/%s", url.PathEscape(s.Project), url.PathEscape(s.Name), url.PathEscape(s.ID))
}

// Stack finds the stack of a cluster by its id.
func (c *Client) Stack(ctx context.Context, project, id string) (StackRef, error) {
	var out struct {
		Stack struct {
			ID   string `json:"id"`
			Name string `json:"stack_name"`
		} `json:"stack"`
	}
	path := fmt.Sprintf("/heat/v1/%s/stacks/%s", url.PathEscape(project), url.PathEscape(id))
	if err := c.do(ctx, http.MethodGet, path, nil, &out); err != nil {
		return StackRef{}, fmt.Errorf("stack %s: %w", id, err)
	}
	return StackRef{Project: project, Name: out.Stack.Name, ID: out.Stack.ID}, nil
}

// Resources lists the resources of the stack and of the stacks nested in it, down to depth.
func (c *Client) Resources(ctx context.Context, s StackRef, depth int) ([]Resource, error) {
	var out struct {
		Resources []Resource `json:"resources"`
	}
	path := fmt.Sprintf("%s/resources?nested_depth=%d", s.path(), depth)
	if err := c.do(ctx, http.MethodGet, path, nil, &out); err != nil {
		return nil, fmt.Errorf("resources of stack %s: %w", s.Name, err)
	}
	return out.Resources, nil
}

// Events lists the events of the stack and of the stacks nested in it, oldest first, after
// the event with the id marker (from the first when it is empty).
func (c *Client) Events(ctx context.Context, s StackRef, depth int, marker string) ([]Event, error) {
	var all []Event
	for {
		q := url.Values{"nested_depth": {fmt.Sprint(depth)}, "sort_dir": {"asc"}, "limit": {"1000"}}
		if marker != "" {
			q.Set("marker", marker)
		}
		var out struct {
			Events []Event `json:"events"`
		}
		if err := c.do(ctx, http.MethodGet, s.path()+"/events?"+q.Encode(), nil, &out); err != nil {
			return nil, fmt.Errorf("events of stack %s: %w", s.Name, err)
		}
		all = append(all, out.Events...)
		if len(out.Events) < 1000 {
			return all, nil
		}
		marker = out.Events[len(out.Events)-1].ID
	}
}

func lastSegment(href string) string {
	href = strings.TrimSuffix(href, "/")
	return href[strings.LastIndexByte(href, '/')+1:]
}

// RawList returns the decoded collection at path below the stack, for callers that show
// everything the server said.
func (c *Client) RawList(ctx context.Context, s StackRef, list string, depth int) (json.RawMessage, error) {
	var out map[string]json.RawMessage
	if err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s/%s?nested_depth=%d", s.path(), list, depth), nil, &out); err != nil {
		return nil, err
	}
	return out[list], nil
}
