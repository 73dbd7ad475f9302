//go:build heat

package heat

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stack is a stack of Heat with a node whose agent is in Heat mode.
type stack struct {
	*testing.T
	user
	path string // of the stack, below the tenant's endpoint
	node string // the directory that stands in for the node's root

	mu    sync.Mutex
	agent *exec.Cmd
}

// create makes a stack and a node, and starts its agent with the metadata that a server of that
// stack has in its user data.
func create(t *testing.T, of template) *stack {
	t.Helper()
	tenant, err := logIn(t.Context(), "tenant", "tenant", "tenant")
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{T: t, user: tenant, node: t.TempDir()}
	name := strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())
	var made struct {
		Stack struct {
			ID string `json:"id"`
		} `json:"stack"`
	}
	in := object{"stack_name": name, "template": of.render(), "timeout_mins": 30}
	s.must(http.MethodPost, "/stacks", in, &made)
	s.path = "/stacks/" + name + "/" + made.Stack.ID
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(tailOf(s.log()))
			t.Log(tailOf(engine.log()))
		}
	})
	s.userData()
	s.start()
	return s
}

func (s *stack) must(method, path string, in, out any) {
	s.Helper()
	if _, err := s.send(s.Context(), method, heatURL+"/"+s.project+path, in, out); err != nil {
		s.Fatal(err)
	}
}

// userData writes the first metadata of the server once Heat has made it.
func (s *stack) userData() {
	s.Helper()
	var found struct {
		Resource struct {
			Attributes struct {
				Collect object `json:"os_collect_config"`
			} `json:"attributes"`
		} `json:"resource"`
	}
	s.await("the server's first metadata", func() bool {
		_, err := s.send(s.Context(), http.MethodGet, heatURL+"/"+s.project+s.path+"/resources/server?with_attr=os_collect_config", nil, &found)
		return err == nil && len(found.Resource.Attributes.Collect) > 1
	})
	s.put("var/lib/heat-cfntools/cfn-init-data", text(object{"os-collect-config": found.Resource.Attributes.Collect}))
}

func (s *stack) put(name, content string) {
	s.Helper()
	path := filepath.Join(s.node, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.Fatal(err)
	}
}

// read returns a file of the node, "" when it is not there.
func (s *stack) read(name string) string {
	raw, err := os.ReadFile(filepath.Join(s.node, name))
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return string(raw)
}

func (s *stack) log() string { return filepath.Join(s.node, "agent.log") }

// start starts the agent, as slipway-agent.service would.
func (s *stack) start() {
	s.Helper()
	file, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent = exec.Command("/usr/bin/slipway-agent", "heat", "run", "--root", s.node)
	s.agent.Stdout, s.agent.Stderr = file, file
	if err := s.agent.Start(); err != nil {
		s.Fatal(err)
	}
}

// kill ends the agent at once.
func (s *stack) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == nil {
		return
	}
	_ = s.agent.Process.Signal(unix.SIGKILL)
	_ = s.agent.Wait()
	s.agent = nil
}

// await waits for something, for as long as anything is waited for.
func (s *stack) await(what string, holds func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("in vain waited for %s; the stack: %s", what, s.status())
		}
	}
}

// status is the stack's, with its reason.
func (s *stack) status() string {
	var found struct {
		Stack struct {
			Status string `json:"stack_status"`
			Reason string `json:"stack_status_reason"`
		} `json:"stack"`
	}
	if _, err := s.send(s.Context(), http.MethodGet, heatURL+"/"+s.project+s.path, nil, &found); err != nil {
		return err.Error()
	}
	return found.Stack.Status + ": " + found.Stack.Reason
}

// becomes waits until the stack's action is over, and fails unless it ended so. It returns the reason.
func (s *stack) becomes(status string) string {
	s.Helper()
	var now string
	s.await(status, func() bool {
		now = s.status()
		return strings.HasPrefix(now, status[:strings.Index(status, "_")]+"_") && !strings.Contains(now, "_IN_PROGRESS: ")
	})
	if !strings.HasPrefix(now, status+": ") {
		s.Fatalf("the stack is %s", now)
	}
	return now[len(status)+2:]
}

// result is what Heat knows of a deployment.
type result struct {
	Action, Status, Reason string
	Outputs                map[string]any
}

// result asks Heat for a deployment, as an operator does.
func (s *stack) result(name string) result {
	s.Helper()
	var resource struct {
		Resource struct {
			Physical string `json:"physical_resource_id"`
		} `json:"resource"`
	}
	s.must(http.MethodGet, s.path+"/resources/"+name, nil, &resource)
	var found struct {
		Deployment struct {
			Action  string         `json:"action"`
			Status  string         `json:"status"`
			Reason  string         `json:"status_reason"`
			Outputs map[string]any `json:"output_values"`
		} `json:"software_deployment"`
	}
	s.must(http.MethodGet, "/software_deployments/"+resource.Resource.Physical, nil, &found)
	d := found.Deployment
	return result{d.Action, d.Status, d.Reason, d.Outputs}
}

// update gives the stack another template.
func (s *stack) update(to template) {
	s.Helper()
	s.must(http.MethodPut, s.path, object{"template": to.render(), "timeout_mins": 30}, nil)
}

// text is a value as JSON; all that is given here has one.
func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// scripts is where the logs of a node's scripts are, below its root.
const scripts = "var/log/heat-config/heat-config-script"

// logged counts the scripts, by the end of their logs' names, that have written a text.
func (s *stack) logged(suffix, text string) int {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.node, scripts, "*"+suffix+".log"))
	if err != nil {
		s.Fatal(err)
	}
	n := 0
	for _, path := range found {
		if strings.Contains(s.read(filepath.Join(scripts, filepath.Base(path))), text) {
			n++
		}
	}
	return n
}
