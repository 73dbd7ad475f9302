package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kubectl is kubectl with one cluster's kubeconfig.
type Kubectl struct{ Program, Config string }

// Kubectl makes a kubeconfig for the cluster.
func (s *System) Kubectl(t *testing.T, cluster string) Kubectl {
	t.Helper()
	k := Kubectl{Program: s.Program("kubectl"), Config: filepath.Join(t.TempDir(), "kubeconfig-"+cluster)}
	if err := os.WriteFile(k.Config, []byte(s.Slipway(t, "cluster", "kubeconfig", cluster)), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// Run runs kubectl and returns its output.
func (k Kubectl) Run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := k.Try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try is Run for calls that may fail.
func (k Kubectl) Try(args ...string) (string, error) {
	return try(2*time.Minute, nil, k.Program, append([]string{"--kubeconfig", k.Config}, args...)...)
}

// Ready checks that the cluster has that many nodes and that all are Ready. With a version, each
// node's has to be that one.
func (k Kubectl) Ready(nodes int, version ...string) error {
	out, err := k.Try("get", "nodes", "--no-headers", "--request-timeout=10s")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != nodes {
		return fmt.Errorf("want %d nodes: %q", nodes, lines)
	}
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) < 5 || f[1] != "Ready" || len(version) > 0 && f[4] != version[0] {
			return fmt.Errorf("node: %s", l)
		}
	}
	return nil
}
