package api

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openstack runs OpenStack's own client against the harness, in dir.
func (h *harness) openstack(dir string, args ...string) string {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "openstack", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OS_AUTH_TYPE=none", "OS_ENDPOINT="+h.server.URL+"/v1", "HOME="+dir, "SHELL=/bin/sh")
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("openstack %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOpenStackClientDrivesClusters(t *testing.T) {
	if _, err := exec.LookPath("openstack"); err != nil {
		t.Skip("needs the Debian packages python3-openstackclient and python3-magnumclient")
	}
	h := newHarness(t)
	dir := t.TempDir()
	out := h.openstack(dir, "coe", "cluster", "create", "k8s", "--cluster-template", "kubernetes-v1.36.3-prod-20261121",
		"--master-count", "3", "--node-count", "2", "--keypair", "my_keypair", "--labels", "x=1")
	if !strings.Contains(out, "Request to create cluster") {
		t.Errorf("create printed %s", out)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(h.openstack(dir, "coe", "cluster", "list", "-f", "json")), &list); err != nil || len(list) != 1 || list[0]["name"] != "k8s" || list[0]["status"] != "CREATE_IN_PROGRESS" {
		t.Errorf("list %v, %v", list, err)
	}
	var shown map[string]any
	if err := json.Unmarshal([]byte(h.openstack(dir, "coe", "cluster", "show", "k8s", "-f", "json")), &shown); err != nil || shown["master_count"] != 3.0 || shown["node_count"] != 2.0 {
		t.Errorf("show %v, %v", shown, err)
	}
	if out := h.openstack(dir, "coe", "cluster", "template", "show", ProductionTemplateID); !strings.Contains(out, "kubernetes-v1.36.3-prod-20261121") {
		t.Errorf("template show printed %s", out)
	}
	h.openstack(dir, "coe", "cluster", "config", "k8s", "--dir", dir, "--force", "--output-certs")
	for _, name := range []string{"config", "ca.pem", "cert.pem", "key.pem"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if out := h.openstack(dir, "coe", "nodegroup", "list", "k8s"); !strings.Contains(out, "default-worker") {
		t.Errorf("nodegroup list printed %s", out)
	}
	h.openstack(dir, "coe", "cluster", "delete", "k8s")
	if out := h.openstack(dir, "coe", "cluster", "list"); !strings.Contains(out, "DELETE_IN_PROGRESS") {
		t.Errorf("after the delete: %s", out)
	}
}
