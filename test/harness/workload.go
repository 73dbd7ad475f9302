package harness

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// importTool is the program of the node OS that gives an image to containerd.
const importTool = "/usr/libexec/slipway/slipway-import"

// probeImage builds the image of the test's pods and gives it to containerd on the nodes, as
// the agent does with images of a plan. It returns the reference by digest.
func (s *System) probeImage(t *testing.T, nodes []Server) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "./test/harness/probe")
	cmd.Dir = s.Root
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
	for _, n := range nodes {
		const dir = "/var/lib/sliptest-probe"
		path, err := layout.Write(n.File(dir), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := path.AppendImage(image); err != nil {
			t.Fatal(err)
		}
		n.Inside(t, importTool, "--address", "/run/containerd/containerd.sock", "--layout", dir, "--digest", digest.String(), "--reference", reference)
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
  replicas: REPLICAS
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

// Pod is one pod of the workload and where it runs.
type Pod struct{ Name, Node string }

// Deploy runs the workload with one pod on each of the nodes, which are all of the cluster, and
// returns the pods.
func (s *System) Deploy(t *testing.T, k Kubectl, nodes []Server) []Pod {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "workload.yaml")
	text := strings.NewReplacer("IMAGE", s.probeImage(t, nodes), "REPLICAS", fmt.Sprint(len(nodes))).Replace(workload)
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.Run(t, "apply", "-f", manifest)
	Eventually(t, 5*time.Minute, "the workload's rollout", func() error {
		_, err := k.Try("rollout", "status", "deployment/echo", "--timeout=60s")
		return err
	})
	var pods []Pod
	seen := map[string]bool{}
	for _, l := range strings.Fields(k.Run(t, "get", "pods", "-l", "app=echo", "-o", `jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName} {end}`)) {
		name, node, _ := strings.Cut(l, "=")
		pods = append(pods, Pod{name, node})
		seen[node] = true
	}
	if len(pods) != len(nodes) || len(seen) != len(nodes) {
		t.Fatalf("want one pod on each of %d nodes, got %v", len(nodes), pods)
	}
	return pods
}
