package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
)

// compareImages asks every node which images it has, and finds each in the lock by its digest.
func (y System) compareImages(ctx context.Context, s *pipeline.Step, l *lock.Lock) ([]report.Check, error) {
	var nodes []struct{ Name, Phase string }
	if err := y.slipway(ctx, s, &nodes, "node", "list", y.Cluster, "-o", "json"); err != nil {
		return nil, err
	}
	if len(nodes) != 2 {
		return nil, fmt.Errorf("there are %d nodes, not two", len(nodes))
	}
	var checks []report.Check
	for _, n := range nodes {
		var node struct {
			Images []struct{ Name, Digest string }
		}
		if err := y.slipway(ctx, s, &node, "node", "show", n.Name, "-o", "json"); err != nil {
			return nil, err
		}
		if len(node.Images) == 0 {
			return nil, fmt.Errorf("node %s names no image", n.Name)
		}
		for _, i := range node.Images {
			img, _, ok := l.ByManifest(i.Digest)
			if !ok || img.Name != i.Name {
				return nil, fmt.Errorf("node %s has %s with the manifest %s, which is not in the lock that was built", n.Name, i.Name, i.Digest)
			}
		}
		checks = append(checks, report.Check{What: n.Name + " has images of the lock, by their digests", Detail: fmt.Sprint(len(node.Images))})
	}
	return checks, nil
}

// What has to run, by the name of the program.
var (
	onMasters = []string{"containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"}
	onWorkers = []string{"containerd", "kube-proxy", "kubelet"}
)

// compareProcesses hashes the programs that run on the nodes, out of the kernel's own view of them.
func (y System) compareProcesses(ctx context.Context, s *pipeline.Step, l *lock.Lock) ([]report.Check, error) {
	var servers []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	}
	if err := y.slipway(ctx, s, &servers, "local", "servers", "-o", "json"); err != nil {
		return nil, err
	}
	locked := map[string][]string{} // sums by the name of the program
	for _, i := range l.Images {
		for _, p := range i.Platforms {
			for _, f := range p.Files {
				locked[path.Base(f.Path)] = append(locked[path.Base(f.Path)], "sha256:"+f.SHA256)
			}
		}
	}
	var checks []report.Check
	for _, server := range servers {
		running, err := programsOf(server.PID, locked)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", server.Name, err)
		}
		want := onWorkers
		if strings.Contains(server.Name, "master") {
			want = onMasters
		}
		for _, name := range want {
			if !slices.Contains(running, name) {
				return nil, fmt.Errorf("%s does not run %s", server.Name, name)
			}
		}
		checks = append(checks, report.Check{What: server.Name + " runs programs of the lock, by their sums", Detail: strings.Join(running, " ")})
	}
	return checks, nil
}

// programsOf names the programs in a node that have a name of the lock. One with such a name and
// another sum is an error.
func programsOf(init int, locked map[string][]string) ([]string, error) {
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", init))
	if err != nil {
		return nil, fmt.Errorf("its first process: %w", err)
	}
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, pid := range pids {
		space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err != nil || space != inside {
			continue
		}
		exe := fmt.Sprintf("/proc/%d/exe", pid)
		target, err := os.Readlink(exe)
		if err != nil {
			continue // it is gone
		}
		argv := commandLine(pid)
		name := path.Base(target)
		if locked[name] == nil && len(argv) > 0 {
			name = path.Base(argv[0])
		}
		sums := locked[name]
		if sums == nil {
			continue
		}
		found = append(found, name)
		sum, _, err := fileDigest(exe)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(sums, sum) {
			return nil, fmt.Errorf("process %d, %s, is a program with %s; the lock has %v", pid, name, sum, sums)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
