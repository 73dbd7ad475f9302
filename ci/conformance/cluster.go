package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is one node as `slipway local servers -o json` shows it.
type server struct {
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	State   string `json:"state"`
	PID     int    `json:"pid"` // of its first process, as this machine sees it
}

// commandLimit bounds what asks the control plane.
const commandLimit = 2 * time.Minute

func (o Options) slipway(ctx context.Context, args ...string) ([]byte, error) {
	if o.State != "" {
		args = append(args, "--state", o.State)
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.Slipway, args...)
	cmd.Env = append(os.Environ(), "SLIPWAY_ENDPOINT=") // the state says which
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("slipway %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// kubeconfig makes one for the cluster in a file that only the user can read.
func (o Options) kubeconfig(ctx context.Context, file string) error {
	text, err := o.slipway(ctx, "cluster", "kubeconfig", o.Cluster)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// nodes are the servers of the cluster, all of them running.
func (o Options) nodes(ctx context.Context) ([]server, error) {
	text, err := o.slipway(ctx, "cluster", "show", o.Cluster, "-o", "json")
	if err != nil {
		return nil, err
	}
	var cluster struct{ UUID, Status string }
	if err := json.Unmarshal(text, &cluster); err != nil {
		return nil, fmt.Errorf("slipway cluster show: %w", err)
	}
	if !strings.HasSuffix(cluster.Status, "_COMPLETE") {
		return nil, fmt.Errorf("cluster %s is %s, not complete", o.Cluster, cluster.Status)
	}
	if text, err = o.slipway(ctx, "local", "servers", "-o", "json"); err != nil {
		return nil, err
	}
	var all, nodes []server
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("slipway local servers: %w", err)
	}
	for _, s := range all {
		if s.Cluster != cluster.UUID {
			continue
		}
		if s.PID == 0 {
			return nil, fmt.Errorf("node %s is %s: start it, or delete its cluster", s.Name, s.State)
		}
		nodes = append(nodes, s)
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("cluster %s has no node on this machine: conformance runs on the local cloud", o.Cluster)
	}
	return nodes, nil
}

// certificates is where containerd looks for how a registry is reached.
const certificates = "etc/containerd/certs.d"

// introduce lets the nodes' containerd reach the registry over plain HTTP: a file that it reads
// at every pull, in the running node only, not in its plan. The returned function takes it away.
func (o Options) introduce(nodes []server) (func() error, error) {
	var dirs []string
	forget := func() error {
		var problems []error
		for _, d := range dirs {
			problems = append(problems, os.RemoveAll(d))
		}
		return errors.Join(problems...)
	}
	for _, n := range nodes {
		dir := filepath.Join("/proc", fmt.Sprint(n.PID), "root", certificates, o.Registry)
		dirs = append(dirs, dir)
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "hosts.toml"), hosts(o.Registry), 0o644)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tell node %s of the tests' registry: %w", n.Name, err), forget())
		}
	}
	return forget, nil
}

func hosts(registry string) []byte {
	return fmt.Appendf(nil, "server = \"http://%[1]s\"\n\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", registry)
}
