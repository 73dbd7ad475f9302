package keystone

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/heat/rest"
)

// Credentials are a user's of one project.
type Credentials struct {
	AuthURL   string // with or without a version at its end
	UserID    string
	Password  string
	ProjectID string
}

// Types of services in the catalog.
const (
	Orchestration = "orchestration"
	Messaging     = "messaging"
)

// early is how long before its end a token is no longer used.
const early = 2 * time.Minute

// shortest is how long a token is used at least, were its times absurd; a refused token is
// dropped anyway.
const shortest = 10 * time.Second

// Client keeps one token for each set of credentials, in memory only.
type Client struct {
	HTTP *rest.Client
	Now  func() time.Time // time.Now

	mu     sync.Mutex
	tokens map[Credentials]*token
}

// token is an answer of Keystone and until when it is used, by the local clock.
type token struct {
	id      string
	catalog []service
	until   time.Time
}

type service struct {
	Type      string `json:"type"`
	Endpoints []struct {
		Interface string `json:"interface"`
		Region    string `json:"region"`
		RegionID  string `json:"region_id"`
		URL       string `json:"url"`
	} `json:"endpoints"`
}

// Call makes an authenticated call of a service: path is appended to the service's public
// endpoint in the region ("" for any). A 401 drops the token, and the call is made once more with
// a new one. The headers Accept and, with a body, Content-Type are set to JSON.
func (c *Client) Call(ctx context.Context, credentials Credentials, serviceType, region, method, path string, body []byte, header map[string]string) (*rest.Response, error) {
	for first := true; ; first = false {
		response, err := c.call(ctx, credentials, serviceType, region, method, path, body, header)
		if rest.StatusOf(err) != http.StatusUnauthorized || !first {
			return response, err
		}
		c.drop(credentials)
	}
}

func (c *Client) call(ctx context.Context, credentials Credentials, serviceType, region, method, path string, body []byte, header map[string]string) (*rest.Response, error) {
	t, err := c.token(ctx, credentials)
	if err != nil {
		return nil, err
	}
	endpoint, err := t.endpoint(serviceType, region)
	if err != nil {
		return nil, err
	}
	all := map[string]string{"X-Auth-Token": t.id, "Accept": "application/json"}
	if body != nil {
		all["Content-Type"] = "application/json"
	}
	for name, value := range header {
		all[name] = value
	}
	return c.HTTP.Do(ctx, rest.Request{Method: method, URL: endpoint + path, Header: all, Body: body})
}

func (c *Client) drop(credentials Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, credentials)
}

// token returns the kept token or gets one. Two callers at a time may both get one; that is
// cheaper than having one wait for the other's broken connection.
func (c *Client) token(ctx context.Context, credentials Credentials) (*token, error) {
	c.mu.Lock()
	kept := c.tokens[credentials]
	c.mu.Unlock()
	if kept != nil && c.Now().Before(kept.until) {
		return kept, nil
	}
	fresh, err := c.authenticate(ctx, credentials)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[Credentials]*token{}
	}
	for other, t := range c.tokens { // deployments come with a user each
		if !c.Now().Before(t.until) {
			delete(c.tokens, other)
		}
	}
	c.tokens[credentials] = fresh
	return fresh, nil
}

func (c *Client) authenticate(ctx context.Context, credentials Credentials) (*token, error) {
	body, err := json.Marshal(request(credentials))
	if err != nil {
		return nil, err
	}
	base := Base(credentials.AuthURL)
	answer, err := c.post(ctx, base+"/v3", body)
	if rest.StatusOf(err) == http.StatusNotFound {
		if address, found := c.discover(ctx, base); found {
			answer, err = c.post(ctx, address, body)
		}
	}
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Token struct {
			Catalog   []service `json:"catalog"`
			IssuedAt  time.Time `json:"issued_at"`
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"token"`
	}
	if err := json.Unmarshal(answer.Body, &parsed); err != nil {
		return nil, fault.Retriablef("Keystone's answer: %w", err)
	}
	t := &token{id: answer.Header.Get("X-Subject-Token"), catalog: parsed.Token.Catalog}
	if t.id == "" {
		return nil, fault.Retriablef("Keystone's answer has no X-Subject-Token")
	}
	// The life of the token is counted by Keystone's own clock: ours may be wrong by any amount.
	now := parsed.Token.IssuedAt
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		now = date
	}
	t.until = c.Now().Add(max(parsed.Token.ExpiresAt.Sub(now)-early, shortest))
	return t, nil
}

func (c *Client) post(ctx context.Context, address string, body []byte) (*rest.Response, error) {
	return c.HTTP.Do(ctx, rest.Request{
		Method: http.MethodPost, URL: address + "/auth/tokens", Body: body,
		Header: map[string]string{"Content-Type": "application/json", "Accept": "application/json"},
	})
}

// discover asks a Keystone that has no v3 where every Keystone has it where its own is.
func (c *Client) discover(ctx context.Context, base string) (address string, found bool) {
	var list struct {
		Versions struct {
			Values []struct {
				ID    string `json:"id"`
				Links []struct {
					Rel  string `json:"rel"`
					Href string `json:"href"`
				} `json:"links"`
			} `json:"values"`
		} `json:"versions"`
	}
	// A list of versions has status 300.
	raw, err := c.HTTP.Any(ctx, rest.Request{Method: http.MethodGet, URL: base + "/", Header: map[string]string{"Accept": "application/json"}})
	if err != nil || json.Unmarshal(raw, &list) != nil {
		return "", false
	}
	for _, version := range list.Versions.Values {
		for _, link := range version.Links {
			if strings.HasPrefix(version.ID, "v3") && link.Rel == "self" && sameHost(base, link.Href) {
				return strings.TrimRight(link.Href, "/"), true
			}
		}
	}
	return "", false
}

// sameHost reports whether an address that a server names is on the server itself: a password
// goes there.
func sameHost(base, address string) bool {
	a, err1 := url.Parse(base)
	b, err2 := url.Parse(address)
	return err1 == nil && err2 == nil && a.Host == b.Host && a.Scheme == b.Scheme
}

// request is the body of POST /v3/auth/tokens.
func request(c Credentials) any {
	type object = map[string]any
	return object{"auth": object{
		"identity": object{
			"methods":  []string{"password"},
			"password": object{"user": object{"id": c.UserID, "password": c.Password}},
		},
		"scope": object{"project": object{"id": c.ProjectID}},
	}}
}

// Base takes the version off an address of Keystone: Heat hands out addresses with /v2.0, /v3 or
// neither, and v3 is what we speak.
func Base(address string) string {
	address = strings.TrimRight(address, "/")
	for _, version := range []string{"/v2.0", "/v3"} {
		address = strings.TrimSuffix(address, version)
	}
	return strings.TrimRight(address, "/")
}

// endpoint finds a public endpoint, without a slash at its end.
func (t *token) endpoint(serviceType, region string) (string, error) {
	for _, s := range t.catalog {
		if s.Type != serviceType {
			continue
		}
		for _, e := range s.Endpoints {
			public := e.Interface == "public" || e.Interface == "publicURL"
			if public && (region == "" || e.Region == region || e.RegionID == region) {
				return unversioned(serviceType, strings.TrimRight(e.URL, "/")), nil
			}
		}
	}
	if region == "" {
		return "", fault.Retriablef("Keystone's catalog has no public endpoint of %s", serviceType)
	}
	return "", fault.Retriablef("Keystone's catalog has no public endpoint of %s in region %s", serviceType, region)
}

// unversioned takes the version off Zaqar's endpoint, where an operator has put one: paths below
// it begin with their own.
func unversioned(serviceType, address string) string {
	if serviceType == Messaging {
		for _, version := range []string{"/v1.1", "/v2"} {
			address = strings.TrimSuffix(address, version)
		}
	}
	return address
}
