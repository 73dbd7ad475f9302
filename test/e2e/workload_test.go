//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"io"
)

// importTool is the program of the node OS that gives an image to containerd.
const importTool = "/usr/libexec/slipway/slipway-import"

// probeImage builds the image of the test's pods and gives it to containerd on both nodes,
// as the agent does with images of a plan. It returns the reference by digest.
func (s *system) probeImage(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "./test/e2e/probe")
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	image := imageOf(t, binary)
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference := "sliptest.local/probe@" + digest.String()
	for _, n := range []server{s.master, s.worker} {
		const dir = "/var/lib/sliptest-probe"
		path, err := layout.Write(n.file(dir), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := path.AppendImage(image); err != nil {
			t.Fatal(err)
		}
		n.inside(t, importTool, "--address", "/run/containerd/containerd.sock", "--layout", dir, "--digest", digest.String(), "--reference", reference)
	}
	return reference
}

// imageOf packs one file as an image that runs it.
func imageOf(t *testing.T, binary string) v1.Image {
	t.Helper()
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, MediaType: types.OCILayer})
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.Config(image, v1.Config{Entrypoint: []string{"/probe"}, Cmd: []string{"serve", ":8080"}, User: "65532"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

// workload is a deployment with one pod on each node, the master's taint tolerated, and a
// service in front of it.
const workload = `apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: echo}}, nodeTaintsPolicy: Ignore}
      containers:
      - name: echo
        image: IMAGE
        imagePullPolicy: Never
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        env:
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
`

// pod is one pod of the workload and where it runs.
type pod struct{ name, node string }

// deploy runs the workload and returns its pods, one on each node.
func (s *system) deploy(t *testing.T) []pod {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "workload.yaml")
	if err := os.WriteFile(manifest, []byte(strings.ReplaceAll(workload, "IMAGE", s.probeImage(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, "apply", "-f", manifest)
	s.kubectl(t, "rollout", "status", "deployment/echo", "--timeout=90s")
	var pods []pod
	for _, l := range strings.Fields(s.kubectl(t, "get", "pods", "-l", "app=echo", "-o", `jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName} {end}`)) {
		name, node, _ := strings.Cut(l, "=")
		pods = append(pods, pod{name, node})
	}
	if len(pods) != 2 || pods[0].node == pods[1].node {
		t.Fatalf("want one pod on each of two nodes, got %v", pods)
	}
	return pods
}
