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

// Cluster is what the Magnum API shows of one cluster. Fields that a list leaves out are
// empty there. Raw is the whole object as it arrived.
type Cluster struct {
	UUID            string            `json:"uuid"`
	Name            string            `json:"name"`
	Status          string            `json:"status"`
	StatusReason    string            `json:"status_reason"`
	HealthStatus    string            `json:"health_status"`
	TemplateID      string            `json:"cluster_template_id"`
	StackID         string            `json:"stack_id"`
	ProjectID       string            `json:"project_id"`
	Keypair         string            `json:"keypair"`
	MasterCount     int               `json:"master_count"`
	NodeCount       int               `json:"node_count"`
	APIAddress      string            `json:"api_address"`
	COEVersion      string            `json:"coe_version"`
	MasterAddresses []string          `json:"master_addresses"`
	NodeAddresses   []string          `json:"node_addresses"`
	Faults          map[string]string `json:"faults"`
	CreatedAt       *time.Time        `json:"created_at"`
	UpdatedAt       *time.Time        `json:"updated_at"`

	Raw json.RawMessage `json:"-"`
}

// InProgress reports whether an operation on the cluster is still going on.
func (c *Cluster) InProgress() bool { return strings.HasSuffix(c.Status, "_IN_PROGRESS") }

// Failed reports whether the last operation on the cluster failed.
func (c *Cluster) Failed() bool { return strings.HasSuffix(c.Status, "_FAILED") }

// Template is what the Magnum API shows of one cluster template.
type Template struct {
	UUID   string            `json:"uuid"`
	Name   string            `json:"name"`
	COE    string            `json:"coe"`
	Image  string            `json:"image_id"`
	Public bool              `json:"public"`
	Labels map[string]string `json:"labels"`
	Driver string            `json:"network_driver"`

	Raw json.RawMessage `json:"-"`
}

// CreateCluster posts body, a Magnum cluster create request, as it is and returns the new
// cluster's UUID. The server validates it.
func (c *Client) CreateCluster(ctx context.Context, body json.RawMessage) (string, error) {
	var out struct {
		UUID string `json:"uuid"`
	}
	if err := c.do(ctx, http.MethodPost, "/v1/clusters", body, &out); err != nil {
		return "", err
	}
	if out.UUID == "" {
		return "", fmt.Errorf("POST /v1/clusters was accepted, but the answer names no cluster")
	}
	return out.UUID, nil
}

// Clusters lists all clusters of the project.
func (c *Client) Clusters(ctx context.Context) ([]Cluster, error) {
	var all []Cluster
	path := "/v1/clusters/detail"
	for path != "" {
		var page struct {
			Clusters []json.RawMessage `json:"clusters"`
			Next     string            `json:"next"`
		}
		if err := c.do(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, raw := range page.Clusters {
			one := Cluster{Raw: raw}
			if err := json.Unmarshal(raw, &one); err != nil {
				return nil, fmt.Errorf("GET %s: %w", path, err)
			}
			all = append(all, one)
		}
		next, err := c.nextPath(page.Next, path)
		if err != nil {
			return nil, err
		}
		path = next
	}
	return all, nil
}

// nextPath turns a collection's next link into a path on our own endpoint; a link that does
// not move on ends the walk.
func (c *Client) nextPath(next, current string) (string, error) {
	if next == "" {
		return "", nil
	}
	u, err := url.Parse(next)
	if err != nil {
		return "", fmt.Errorf("next link %q: %w", next, err)
	}
	path := u.RequestURI()
	if path == current {
		return "", nil
	}
	return path, nil
}

// Cluster returns the cluster of that name or UUID.
func (c *Client) Cluster(ctx context.Context, nameOrID string) (*Cluster, error) {
	var raw json.RawMessage
	if err := c.do(ctx, http.MethodGet, "/v1/clusters/"+url.PathEscape(nameOrID), nil, &raw); err != nil {
		return nil, err
	}
	out := &Cluster{Raw: raw}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", nameOrID, err)
	}
	return out, nil
}

// DeleteCluster asks for the deletion of the cluster of that name or UUID and returns as soon
// as the request was accepted.
func (c *Client) DeleteCluster(ctx context.Context, nameOrID string) error {
	return c.do(ctx, http.MethodDelete, "/v1/clusters/"+url.PathEscape(nameOrID), nil, nil)
}

// Templates lists all cluster templates that the project may use.
func (c *Client) Templates(ctx context.Context) ([]Template, error) {
	var page struct {
		Templates []json.RawMessage `json:"clustertemplates"`
	}
	if err := c.do(ctx, http.MethodGet, "/v1/clustertemplates/detail", nil, &page); err != nil {
		return nil, err
	}
	all := make([]Template, 0, len(page.Templates))
	for _, raw := range page.Templates {
		one := Template{Raw: raw}
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("cluster templates: %w", err)
		}
		all = append(all, one)
	}
	return all, nil
}

// Template returns the cluster template of that name or UUID.
func (c *Client) Template(ctx context.Context, nameOrID string) (*Template, error) {
	var raw json.RawMessage
	if err := c.do(ctx, http.MethodGet, "/v1/clustertemplates/"+url.PathEscape(nameOrID), nil, &raw); err != nil {
		return nil, err
	}
	out := &Template{Raw: raw}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("cluster template %s: %w", nameOrID, err)
	}
	return out, nil
}

// CACertificate returns the PEM certificate of the cluster's Kubernetes CA.
func (c *Client) CACertificate(ctx context.Context, clusterUUID string) (string, error) {
	var out struct {
		PEM string `json:"pem"`
	}
	if err := c.do(ctx, http.MethodGet, "/v1/certificates/"+url.PathEscape(clusterUUID), nil, &out); err != nil {
		return "", err
	}
	if out.PEM == "" {
		return "", fmt.Errorf("GET /v1/certificates/%s: the answer holds no certificate", clusterUUID)
	}
	return out.PEM, nil
}

// SignCertificate has the cluster's Kubernetes CA sign csr (PEM) and returns the certificate
// in PEM.
func (c *Client) SignCertificate(ctx context.Context, clusterUUID, csr string) (string, error) {
	in := map[string]string{"cluster_uuid": clusterUUID, "csr": csr}
	var out struct {
		PEM string `json:"pem"`
	}
	if err := c.do(ctx, http.MethodPost, "/v1/certificates", in, &out); err != nil {
		return "", err
	}
	if out.PEM == "" {
		return "", fmt.Errorf("POST /v1/certificates: the answer holds no certificate")
	}
	return out.PEM, nil
}
