package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Node is what slipwayd's own API shows of one node. Fields that a list leaves out are empty
// there. Raw is the whole object as it arrived.
type Node struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	ClusterID   string      `json:"cluster_id"`
	ClusterName string      `json:"cluster_name"`
	Role        string      `json:"role"`
	Address     string      `json:"address"`
	PodCIDR     string      `json:"pod_cidr"`
	State       string      `json:"state"`
	JoinedAt    *time.Time  `json:"joined_at"`
	LastSeen    *time.Time  `json:"last_seen"`
	Generation  uint64      `json:"generation"`
	PlanDigest  string      `json:"plan_digest"`
	Phase       string      `json:"phase"`
	Progress    *Progress   `json:"progress"`
	Reason      string      `json:"reason"`
	Conditions  []Condition `json:"conditions"`

	Deployment  string       `json:"deployment"`
	Lock        string       `json:"lock"`
	Images      []NodeImage  `json:"images"`
	Units       []string     `json:"units"`
	Certificate *Certificate `json:"certificate"`
	Signals     []Signal     `json:"signals"` // the newest first
	Actions     []Action     `json:"actions"` // the newest first

	Raw json.RawMessage `json:"-"`
}

// Condition is one thing about a node that is watched; True means trouble.
type Condition struct {
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Since   *time.Time `json:"since"`
}

// NodeImage is an image of a node's plan.
type NodeImage struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

// Certificate is a node's own certificate.
type Certificate struct {
	Serial   string     `json:"serial"`
	NotAfter *time.Time `json:"not_after"`
}

// Signal is one report of a node, as far as it is shown.
type Signal struct {
	Time       time.Time `json:"time"`
	Phase      string    `json:"phase"`
	Deployment string    `json:"deployment"`
	Reason     string    `json:"reason"`
	Action     *struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	} `json:"action"`
}

// Action is a remote action on a node.
type Action struct {
	ID          string         `json:"id"`
	NodeID      string         `json:"node_id"`
	NodeName    string         `json:"node_name"`
	Kind        string         `json:"kind"`
	What        string         `json:"what"`
	Actor       string         `json:"actor"`
	State       string         `json:"state"`
	Ended       bool           `json:"ended"`
	Reason      string         `json:"reason"`
	RequestedAt *time.Time     `json:"requested_at"`
	ExpiresAt   *time.Time     `json:"expires_at"`
	StartedAt   *time.Time     `json:"started_at"`
	EndedAt     *time.Time     `json:"ended_at"`
	Progress    *Progress      `json:"progress"`
	Results     []ActionResult `json:"results"`
	Output      string         `json:"output"`
	Log         string         `json:"log"`
	Archive     *struct {
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"archive"`

	Raw json.RawMessage `json:"-"`
}

// ActionResult is one thing that an action did or found.
type ActionResult struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // ok, trouble or unknown
	Message string `json:"message"`
}

// ActionOrder asks for an action. Which fields it has depends on the kind.
type ActionOrder struct {
	Kind         string   `json:"kind"`
	Unit         string   `json:"unit,omitempty"`
	Lines        int      `json:"lines,omitempty"`
	Checks       []string `json:"checks,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
	Images       []string `json:"images,omitempty"`
	ExpiresIn    string   `json:"expires_in,omitempty"`
}

// Nodes lists the nodes of the cluster of that name or UUID.
func (c *Client) Nodes(ctx context.Context, cluster string) ([]Node, error) {
	var out struct {
		Nodes []json.RawMessage `json:"nodes"`
	}
	path := "/slipway/v1/clusters/" + url.PathEscape(cluster) + "/nodes"
	if err := c.do(ctx, http.MethodGet, path, nil, &out); err != nil {
		return nil, err
	}
	nodes := make([]Node, len(out.Nodes))
	for i, raw := range out.Nodes {
		nodes[i].Raw = raw
		if err := json.Unmarshal(raw, &nodes[i]); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
	}
	return nodes, nil
}

// Node returns the node of that name or UUID.
func (c *Client) Node(ctx context.Context, nameOrID string) (*Node, error) {
	out := new(Node)
	if err := c.do(ctx, http.MethodGet, nodePath(nameOrID), nil, &out.Raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out.Raw, out); err != nil {
		return nil, fmt.Errorf("node %s: %w", nameOrID, err)
	}
	return out, nil
}

func nodePath(node string) string { return "/slipway/v1/nodes/" + url.PathEscape(node) }

func actionPath(node, action string) string {
	return nodePath(node) + "/actions/" + url.PathEscape(action)
}

// RequestAction asks for an action on the node of that name or UUID.
func (c *Client) RequestAction(ctx context.Context, node string, order ActionOrder) (*Action, error) {
	out := new(Action)
	if err := c.do(ctx, http.MethodPost, nodePath(node)+"/actions", order, &out.Raw); err != nil {
		return nil, err
	}
	return out, json.Unmarshal(out.Raw, out)
}

// actionWait is how long one call waits for a change of an action.
const actionWait = 20 * time.Second

// FollowAction hands each state of an action on as it comes, and returns the last one once the
// action has ended. It goes on over a slipwayd that is away for a moment.
func (c *Client) FollowAction(ctx context.Context, node, id string, each func(*Action)) (*Action, error) {
	etag := ""
	path := actionPath(node, id)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?wait="+actionWait.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		body, header, err := c.fetch(req)
		if IsUnreachable(err) && ctx.Err() == nil && etag != "" {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if body == nil {
			continue // nothing has changed
		}
		etag = header.Get("ETag")
		out := &Action{Raw: body}
		if err := json.Unmarshal(body, out); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		each(out)
		if out.Ended {
			return out, nil
		}
	}
}

// fetch sends a request and returns the answer's body, nil for 304.
func (c *Client) fetch(req *http.Request) (json.RawMessage, http.Header, error) {
	resp, err := c.send(c.http, req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return nil, resp.Header, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, nil, &UnreachableError{Endpoint: c.base, Err: err}
	}
	return body, resp.Header, nil
}

func (c *Client) send(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &UnreachableError{Endpoint: c.base, Err: err}
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		return nil, decodeError(req.Method, req.URL.Path, resp, body)
	}
	return resp, nil
}

// Archive writes the support archive of an action to w.
func (c *Client) Archive(ctx context.Context, node, action string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+actionPath(node, action)+"/archive", nil)
	if err != nil {
		return err
	}
	// An archive may take longer than other answers; ctx bounds it.
	resp, err := c.send(&http.Client{Transport: c.http.Transport}, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("fetch the archive: %w", err)
	}
	return nil
}
