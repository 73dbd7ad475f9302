package testcloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"slipway.build/slipway/agent/heat/signature"
)

// Transports of signals.
const (
	HeatSignal    = "HEAT_SIGNAL"
	CFNSignals    = "CFN_SIGNAL"
	TempURLSignal = "TEMP_URL_SIGNAL"
	ZaqarSignal   = "ZAQAR_SIGNAL"
	NoSignal      = "NO_SIGNAL"
)

// States of a deployment.
const (
	InProgress = "IN_PROGRESS"
	Complete   = "COMPLETE"
	Failed     = "FAILED"
)

// Deployment is what a template says of one.
type Deployment struct {
	ID, Name, Group string // group script when empty
	Resource        string // the deployment resource; its name when empty
	Config          any
	Transport       string // HEAT_SIGNAL when empty
	Action          string // CREATE when empty
	Inputs          []map[string]any
	Outputs         []map[string]any
	Options         map[string]any
	SignedAt        time.Time // of a CFN signal's address; now when zero
}

type deployment struct {
	Deployment
	status  string
	reason  string
	values  map[string]any
	signals []map[string]any
	updated time.Time
}

// Deploy adds a deployment to the server, or replaces the one of the same resource: Heat makes a
// new configuration for each action and forgets the one before.
func (c *Cloud) Deploy(d Deployment) {
	if d.Group == "" {
		d.Group = "script"
	}
	if d.Transport == "" {
		d.Transport = HeatSignal
	}
	if d.Action == "" {
		d.Action = "CREATE"
	}
	if d.Name == "" {
		d.Name = d.ID
	}
	if d.Resource == "" {
		d.Resource = "deploy_" + d.Name
	}
	now := c.now()
	if d.SignedAt.IsZero() {
		d.SignedAt = now
	}
	c.mu.Lock()
	c.users["user-"+d.Resource] = "password-of-" + d.Resource
	c.deployments = slices.DeleteFunc(c.deployments, func(o *deployment) bool { return o.Resource == d.Resource })
	c.deployments = append(c.deployments, &deployment{Deployment: d, status: InProgress, updated: now.Truncate(time.Second)})
	c.mu.Unlock()
	c.push()
}

// Withdraw takes a deployment off the server's list.
func (c *Cloud) Withdraw(id string) {
	c.mu.Lock()
	c.deployments = slices.DeleteFunc(c.deployments, func(o *deployment) bool { return o.ID == id })
	c.mu.Unlock()
	c.push()
}

// Reverse turns the order of the list round.
func (c *Cloud) Reverse() {
	c.mu.Lock()
	slices.Reverse(c.deployments)
	c.mu.Unlock()
	c.push()
}

// Set replaces a key of the server's metadata.
func (c *Cloud) Set(key string, value any) {
	c.mu.Lock()
	c.document[key] = value
	c.mu.Unlock()
	c.push()
}

// Lazy has the next n signals accepted with 200 and forgotten.
func (c *Cloud) Lazy(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lazy = n
}

// Result is what Heat thinks of a deployment.
type Result struct {
	Status  string
	Reason  string
	Outputs map[string]any
	Signals []map[string]any // all that came, those that were ignored, too
}

// Result returns the state of a deployment; its status is "" when there is none.
func (c *Cloud) Result(id string) Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.deployments {
		if d.ID == id {
			return Result{Status: d.status, Reason: d.reason, Outputs: maps.Clone(d.values), Signals: slices.Clone(d.signals)}
		}
	}
	return Result{}
}

// AwaitResult waits until Heat knows the end of a deployment.
func (c *Cloud) AwaitResult(id string) Result {
	c.t.Helper()
	c.Await("the end of deployment "+id, func() bool {
		status := c.Result(id).Status
		return status == Complete || status == Failed
	})
	return c.Result(id)
}

// Document is the server's metadata as JSON.
func (c *Cloud) Document() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc := maps.Clone(c.document)
	list := []map[string]any{}
	for _, d := range c.deployments {
		list = append(list, c.render(d))
	}
	doc["deployments"] = list
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return raw
}

// HeatSection is os-collect-config for POLL_SERVER_HEAT, with the other transports' keys that
// were there before as nulls.
func (c *Cloud) HeatSection(before ...string) map[string]any {
	section := map[string]any{"collectors": []string{"heat", "local"}, "heat": map[string]any{
		"user_id": serverID, "password": "server-password", "auth_url": c.AuthURL(), "project_id": Project,
		"stack_id": Stack, "resource_name": Server, "region_name": Region,
	}}
	for _, old := range before {
		section[old] = nulls(old)
	}
	return section
}

func nulls(transport string) map[string]any {
	out := map[string]any{}
	for _, key := range map[string][]string{
		"cfn":     {"metadata_url", "access_key_id", "secret_access_key", "stack_name", "path"},
		"request": {"metadata_url"},
		"zaqar":   {"user_id", "password", "auth_url", "project_id", "queue_id", "region_name"},
		"heat":    {"user_id", "password", "auth_url", "project_id", "stack_id", "resource_name", "region_name"},
	}[transport] {
		out[key] = nil
	}
	return out
}

// render is format_software_config of the derived configuration. The caller holds mu.
func (c *Cloud) render(d *deployment) map[string]any {
	inputs := slices.Clone(d.Inputs)
	add := func(name string, value any) {
		inputs = append(inputs, map[string]any{"name": name, "type": "String", "value": value, "description": "x", "default": nil})
	}
	add("deploy_server_id", "2f5c2b3e-0000-4000-8000-000000000001")
	add("deploy_action", d.Action)
	add("deploy_stack_id", Stack)
	add("deploy_resource_name", d.Resource)
	add("deploy_signal_transport", d.Transport)
	switch d.Transport {
	case CFNSignals:
		add("deploy_signal_id", c.signedURL(d))
		add("deploy_signal_verb", "POST")
	case TempURLSignal:
		add("deploy_signal_id", c.URL+"/swift/v1/AUTH_x/container/"+d.ID+"?temp_url_sig=s&temp_url_expires=2147483646")
		add("deploy_signal_verb", "PUT")
	case HeatSignal, ZaqarSignal:
		add("deploy_auth_url", c.AuthURL())
		add("deploy_username", "name-"+d.Resource)
		add("deploy_user_id", "user-"+d.Resource)
		add("deploy_password", "password-of-"+d.Resource)
		add("deploy_project_id", Project)
		add("deploy_region_name", Region)
	}
	if d.Transport == ZaqarSignal {
		add("deploy_queue_id", "queue-"+d.Resource)
	}
	doc := map[string]any{
		"id": d.ID, "name": d.Name, "group": d.Group, "creation_time": "2026-01-02T03:04:05Z",
		"config": d.Config, "inputs": inputs, "outputs": nil, "options": nil,
	}
	if d.Outputs != nil {
		doc["outputs"] = d.Outputs
	}
	if d.Options != nil {
		doc["options"] = d.Options
	}
	return doc
}

// signedURL is what Heat signs beforehand for CFN_SIGNAL.
func (c *Cloud) signedURL(d *deployment) string {
	base, err := url.Parse(c.URL)
	if err != nil {
		panic(err)
	}
	path := "/cfn/v1/signal/arn:openstack:heat::" + Project + ":stacks/" + Stack + "/resources/" + d.Resource
	query := map[string]string{
		"SignatureMethod": "HmacSHA256", "SignatureVersion": "2", "AWSAccessKeyId": accessKey,
		"Timestamp": d.SignedAt.UTC().Format("2006-01-02T15:04:05Z"),
	}
	query["Signature"] = signature.Sign(secretKey, "POST", base.Host, path, query)
	values := url.Values{}
	for key, value := range query {
		values.Set(key, value)
	}
	return c.URL + (&url.URL{Path: path}).EscapedPath() + "?" + values.Encode()
}

func (c *Cloud) metadata(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, Metadata) {
		return
	}
	user := c.user(w, r)
	if user == "" {
		return
	}
	if user != serverID || r.PathValue("resource") != Server {
		http.Error(w, `{"code":403}`, http.StatusForbidden)
		return
	}
	if !isStack(w, r) {
		return
	}
	write(w, http.StatusOK, map[string]json.RawMessage{"metadata": c.Document()})
}

func (c *Cloud) signal(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, Signal) {
		return
	}
	resource := r.PathValue("resource")
	user := c.user(w, r)
	if user == "" {
		return
	}
	if user != "user-"+resource {
		http.Error(w, `{"code":403}`, http.StatusForbidden)
		return
	}
	var details map[string]any
	if !isStack(w, r) || !read(w, r, &details) {
		return
	}
	c.judge(resource, details)
	write(w, http.StatusOK, nil)
}

func isStack(w http.ResponseWriter, r *http.Request) bool {
	ok := r.PathValue("project") == Project && r.PathValue("stack")+"/"+r.PathValue("id") == Stack
	if !ok {
		http.Error(w, `{"code":404}`, http.StatusNotFound)
	}
	return ok
}

// judge is heat's signal_software_deployment.
func (c *Cloud) judge(resource string, details map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.bump()
	for _, d := range c.deployments {
		if d.Resource != resource {
			continue
		}
		d.signals = append(d.signals, details)
		if c.lazy > 0 {
			c.lazy--
			return
		}
		if d.status != InProgress {
			return
		}
		d.status, d.reason, d.values = Complete, "Outputs received", map[string]any{}
		code := details["deploy_status_code"]
		if text := fmt.Sprint(code); code != nil && text != "0" && text != "" {
			d.status, d.reason = Failed, "Deployment exited with non-zero status code: "+text
		}
		for _, output := range d.Outputs {
			name, _ := output["name"].(string)
			value, ok := details[name]
			if !ok {
				continue
			}
			d.values[name] = value
			if output["error_output"] == true {
				d.status, d.reason = Failed, fmt.Sprintf("%s : %v", name, value)
			}
		}
		for _, name := range []string{"deploy_stdout", "deploy_stderr", "deploy_status_code"} {
			d.values[name] = details[name]
		}
	}
}
