package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// name of the benchmark's cluster.
const name = "bench"

// template is the built-in one of the paper's example.
const template = "0562d357-8641-4759-8fed-8173f02c9633"

// slipway is the programs that are measured.
type slipway struct{ bin string }

// phase is one phase of a creation, as `slipway cluster phases` says it.
type phase struct {
	Name    string  `json:"name"`
	Reached float64 `json:"reached"`
}

// server is a node, as `slipway local servers` says it.
type server struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// node is what one node has cost.
type node struct {
	name      string
	processor float64 // seconds
	memory    int64   // bytes, of its cgroup
	received  int64   // bytes over its own interface
	verified  int64   // bytes in its store of verified images
}

// run is one creation.
type run struct {
	seconds   float64
	phases    []phase
	nodes     []node
	processor float64
	memory    int64
}

func (s slipway) command(ctx context.Context, program string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(problems.String())
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, text[max(0, len(text)-2000):])
	}
	return out.Bytes(), nil
}

// prepare brings the system up and refuses to measure beside other clusters.
func (s slipway) prepare(ctx context.Context) error {
	if _, err := s.command(ctx, "slipway", nil, "up", "--no-cluster"); err != nil {
		return err
	}
	out, err := s.command(ctx, "slipway", nil, "cluster", "list", "-o", "json")
	if err != nil {
		return err
	}
	var clusters []struct{ Name string }
	if err := json.Unmarshal(out, &clusters); err != nil {
		return err
	}
	for _, c := range clusters {
		if c.Name != name {
			return fmt.Errorf("cluster %s is there and would disturb the measurement: delete it first", c.Name)
		}
	}
	_, err = s.command(ctx, "slipway", nil, "cluster", "delete", name, "--wait")
	return err
}

// measure creates a cluster, looks at what it has cost and deletes it.
func (s slipway) measure(ctx context.Context, masters, nodes int) (run, error) {
	request, err := json.Marshal(map[string]any{
		"name": name, "cluster_template_id": template, "master_count": masters, "node_count": nodes, "keypair": "my_keypair", "create_timeout": 10, "labels": map[string]string{},
	})
	if err != nil {
		return run{}, err
	}
	begun := time.Now()
	if _, err := s.command(ctx, "slipway", request, "cluster", "create", "-f", "-"); err != nil {
		return run{}, err
	}
	var r run
	// It takes the time when an event arrives, and asks for nothing in between.
	out, err := s.command(ctx, "slipway", nil, "cluster", "phases", name, "--follow", "-o", "json", "--since", begun.Format(time.RFC3339Nano))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(out, &r.phases); err != nil {
		return r, err
	}
	if n := len(r.phases); n == 0 || r.phases[n-1].Name != "complete" {
		reason, _ := s.command(ctx, "slipway", nil, "cluster", "show", name)
		return r, fmt.Errorf("the cluster did not become complete: %s", reason)
	}
	r.seconds = r.phases[len(r.phases)-1].Reached
	if err := s.ready(ctx, masters+nodes); err != nil {
		return r, err
	}
	if err := s.costs(ctx, &r); err != nil {
		return r, err
	}
	_, err = s.command(ctx, "slipway", nil, "cluster", "delete", name, "--wait")
	return r, err
}

// ready fails unless the API says that all nodes are Ready now: "complete" is no excuse.
func (s slipway) ready(ctx context.Context, want int) error {
	text, err := s.command(ctx, "slipway", nil, "cluster", "kubeconfig", name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "slipway-bench-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	out, err := s.command(ctx, "kubectl", nil, "--kubeconfig", f.Name(), "get", "nodes", "-o", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}`)
	if err != nil {
		return err
	}
	if got := strings.Fields(string(out)); len(got) != want || strings.Trim(strings.Join(got, ""), "True") != "" {
		return fmt.Errorf("complete, but not %d nodes are Ready: %v", want, got)
	}
	return nil
}

// costs asks the kernel what each node has used.
func (s slipway) costs(ctx context.Context, r *run) error {
	out, err := s.command(ctx, "slipway", nil, "local", "servers", "-o", "json")
	if err != nil {
		return err
	}
	var servers []server
	if err := json.Unmarshal(out, &servers); err != nil {
		return err
	}
	for _, one := range servers {
		n := node{name: one.Name}
		if n.processor, n.memory, err = cgroup(one.PID); err != nil {
			return fmt.Errorf("node %s: %w", one.Name, err)
		}
		if n.received, err = received(one.PID); err != nil {
			return fmt.Errorf("node %s: %w", one.Name, err)
		}
		if n.verified, err = stored(fmt.Sprintf("/proc/%d/root/var/lib/slipway/images", one.PID)); err != nil {
			return fmt.Errorf("node %s: %w", one.Name, err)
		}
		r.processor += n.processor
		r.memory += n.memory
		r.nodes = append(r.nodes, n)
	}
	return nil
}

// received reads the counter of the node's own interface in the name space of its process 1.
func received(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return 0, err
	}
	for _, l := range strings.Split(string(b), "\n") {
		if link, counters, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(link) == "host0" {
			var bytes int64
			if _, err := fmt.Sscan(counters, &bytes); err != nil {
				return 0, fmt.Errorf("counters of host0: %w", err)
			}
			return bytes, nil
		}
	}
	return 0, fmt.Errorf("it has no interface host0")
}

// stored adds up the files of a store, each once however many names it has.
func stored(dir string) (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !seen[st.Ino] {
			seen[st.Ino] = true
			total += info.Size()
		}
		return nil
	})
	return total, err
}
