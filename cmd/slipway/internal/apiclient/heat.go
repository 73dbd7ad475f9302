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

// Graph is all resources of a stack and of the stacks nested in it, and what needs what.
type Graph struct {
	Nodes []Resource `json:"nodes"`
	Edges []Edge     `json:"edges"`

	Raw json.RawMessage `json:"-"`
}

// Edge says that the resource To needs the resource From; both are ids.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Resource is one resource of a graph.
type Resource struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Type         string `json:"type"`
	Status       string `json:"status"` // such as CREATE_COMPLETE
	StatusReason string `json:"status_reason"`
	Physical     string `json:"physical_resource_id"`
	StackID      string `json:"stack_id"`
	StackName    string `json:"stack_name"`
	// Parent is the id of the resource that the resource's stack stands for; empty in the
	// outermost stack.
	Parent string `json:"parent"`
	Nested string `json:"nested_stack_id"` // the stack that the resource stands for
	// Report is what the node last said, with the resource that registers it.
	Report *Report `json:"report"`
}

// Report is what a node last said about itself.
type Report struct {
	Phase    string    `json:"phase"` // see agent/protocol
	Progress *Progress `json:"progress"`
	Reason   string    `json:"reason"`
}

// Progress is how far a node is within its phase.
type Progress struct {
	BytesDone   int64  `json:"bytesDone"`
	BytesTotal  int64  `json:"bytesTotal"`
	UnitsActive int    `json:"unitsActive"`
	UnitsTotal  int    `json:"unitsTotal"`
	Waiting     string `json:"waiting"`
}

// Graph returns the graph of the stack and of all stacks nested in it.
func (c *Client) Graph(ctx context.Context, s StackRef) (*Graph, error) {
	var raw json.RawMessage
	if err := c.do(ctx, http.MethodGet, s.path()+"/graph", nil, &raw); err != nil {
		return nil, fmt.Errorf("graph of stack %s: %w", s.Name, err)
	}
	g := &Graph{Raw: raw}
	if err := json.Unmarshal(raw, g); err != nil {
		return nil, fmt.Errorf("graph of stack %s: %w", s.Name, err)
	}
	return g, nil
}

// Event is one transition of a resource or stack. Type and Actor, who caused it, are Slipway's
// addition to Heat's form.
type Event struct {
	ID           string    `json:"id"`
	Time         time.Time `json:"event_time"`
	Resource     string    `json:"resource_name"`
	Type         string    `json:"resource_type"`
	Physical     string    `json:"physical_resource_id"`
	Status       string    `json:"resource_status"`
	StatusReason string    `json:"resource_status_reason"`
	Actor        string    `json:"actor"`
	Links        []Link    `json:"links"`
}

// Link is one link of an object.
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// eventPage is how many events are asked for at once, and depth how deep the stacks of a
// cluster are nested at most: groups of nodes, and the stack of each node.
const (
	eventPage = 1000
	depth     = 3
)

// Events lists the events of the stack and of the stacks nested in it, oldest first, after
// the event with the id marker (from the first when it is empty). When there is none yet it
// waits for one, at most as long as wait, which may not exceed 20 seconds.
func (c *Client) Events(ctx context.Context, s StackRef, marker string, wait time.Duration) ([]Event, error) {
	var all []Event
	for {
		q := url.Values{"nested_depth": {fmt.Sprint(depth)}, "sort_dir": {"asc"}, "limit": {fmt.Sprint(eventPage)}}
		if marker != "" {
			q.Set("marker", marker)
		}
		if wait > 0 && len(all) == 0 {
			q.Set("wait", wait.String())
		}
		var out struct {
			Events []Event `json:"events"`
		}
		if err := c.do(ctx, http.MethodGet, s.path()+"/events?"+q.Encode(), nil, &out); err != nil {
			return nil, fmt.Errorf("events of stack %s: %w", s.Name, err)
		}
		all = append(all, out.Events...)
		if len(out.Events) < eventPage {
			return all, nil
		}
		marker = out.Events[len(out.Events)-1].ID
	}
}

// StackName returns the name of the stack that the event happened in, from its links: Heat
// shows it nowhere else. It is empty when no link tells.
func (e Event) StackName() string {
	for _, l := range e.Links {
		if l.Rel != "stack" {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(l.Href, "/"), "/")
		if len(parts) < 2 {
			return ""
		}
		if name, err := url.PathUnescape(parts[len(parts)-2]); err == nil {
			return name
		}
	}
	return ""
}
