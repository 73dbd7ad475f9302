package testcloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
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
