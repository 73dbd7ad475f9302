package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestFlagsThatDoNotNameOneImageAreRefused(t *testing.T) {
	const d = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const other = "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, args := range map[string][]string{
		"no layout":                     {"--digest", d, "--reference", "a/b@" + d},
		"no digest":                     {"--layout", "l", "--reference", "a/b@" + d},
		"a digest of another algorithm": {"--layout", "l", "--digest", "md5:00", "--reference", "a/b@md5:00"},
		"a reference without digest":    {"--layout", "l", "--digest", d, "--reference", "a/b"},
		"a reference to something else": {"--layout", "l", "--digest", d, "--reference", "a/b@" + other},
		"a tag beside the digest":       {"--layout", "l", "--digest", d, "--reference", "host:5000/a/b:v1@" + d},
		"an argument":                   {"--layout", "l", "--digest", d, "--reference", "a/b@" + d, "more"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(args, io.Discard); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := parse([]string{"--layout", "l", "--digest", d, "--reference", "host:5000/a/b@" + d}, io.Discard); err != nil {
		t.Errorf("a port in the name: %v", err)
	}
}

// containerd starts the real one in a directory of the test's.
func containerd(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("SLIPWAY_TEST_CONTAINERD")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("containerd"); err != nil {
			t.Skip("containerd is not installed; make deps installs it")
		}
	}
	if os.Getuid() != 0 {
		t.Skip("containerd needs root")
	}
	dir, err := os.MkdirTemp("", "slipt-import-") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	config := filepath.Join(dir, "config.toml")
	text := "version = 2\nroot = \"" + dir + "/root\"\nstate = \"" + dir + "/state\"\n[grpc]\naddress = \"" + socket + "\"\n" +
		"[plugins.\"io.containerd.grpc.v1.cri\"]\ndisable_apparmor = true\nrestrict_oom_score_adj = true\n" +
		"[plugins.\"io.containerd.internal.v1.opt\"]\npath = \"" + dir + "/opt\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config", config, "--log-level", "warn")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("containerd: %s", log.String())
		}
	})
	c, err := client.New(socket, client.WithTimeout(4*time.Minute))
	if err != nil {
		t.Fatalf("containerd does not serve: %v: %s", err, log.String())
	}
	defer c.Close()
	if _, err := c.Version(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return socket
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// image writes an image of one file to a layout and returns its manifest's and its layer's
// digest.
func image(t *testing.T, dir string) (manifest, layer digest.Digest) {
	t.Helper()
	blob := func(data []byte, mediaType string) ocispec.Descriptor {
		d := digest.FromBytes(data)
		path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	}
	var files, packed bytes.Buffer
	tw := tar.NewWriter(&files)
	if err := tw.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte("wait")); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(files.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	l := blob(packed.Bytes(), ocispec.MediaTypeImageLayerZstd)
	config := blob(marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(files.Bytes())}},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/pause"}},
	}), ocispec.MediaTypeImageConfig)
	m := blob(marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{l},
	}), ocispec.MediaTypeImageManifest)
	return m.Digest, l.Digest
}

func TestAnImageIsThereForPodsOnceImportReturnsAndImportingItAgainChangesNothing(t *testing.T) {
	socket := containerd(t)
	dir := t.TempDir()
	manifest, layer := image(t, dir)
	reference := "172.29.0.1:5000/slipway/pause@" + manifest.String()
	o := options{Address: socket, Layout: dir, Digest: manifest, Reference: reference}
	for range 2 {
		if err := run(deadline(t), o); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	service := cri.NewImageServiceClient(c.Conn().(grpc.ClientConnInterface))
	list, err := service.ListImages(deadline(t), &cri.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Images) != 1 || len(list.Images[0].RepoDigests) != 1 || list.Images[0].RepoDigests[0] != reference || len(list.Images[0].RepoTags) != 0 {
		t.Errorf("the runtime has %v", list.Images)
	}
	ctx := namespaces.WithNamespace(deadline(t), namespace)
	stored, err := c.GetImage(ctx, reference)
	if err != nil {
		t.Fatal(err)
	}
	if is, err := stored.IsUnpacked(ctx, ""); err != nil || !is {
		t.Errorf("unpacked: %v, %v", is, err)
	}
	info, err := c.ContentStore().Info(ctx, manifest)
	if err != nil || info.Labels["containerd.io/gc.ref.content.l.0"] != layer.String() {
		t.Errorf("the manifest does not keep its layer: %v, %v", info.Labels, err)
	}
	leases, err := c.LeasesService().List(ctx)
	if err != nil || len(leases) != 0 {
		t.Errorf("left leases: %v, %v", leases, err)
	}
}

func TestAChangedLayerIsRefusedAndPodsNeverSeeTheImage(t *testing.T) {
	socket := containerd(t)
	dir := t.TempDir()
	manifest, layer := image(t, dir)
	path := filepath.Join(dir, "blobs", "sha256", layer.Encoded())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	reference := "172.29.0.1:5000/slipway/pause@" + manifest.String()
	err = run(deadline(t), options{Address: socket, Layout: dir, Digest: manifest, Reference: reference})
	if err == nil || !strings.Contains(err.Error(), layer.String()) {
		t.Errorf("error = %v, want one that names %s", err, layer)
	}
	c, err := client.New(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	images, err := c.ListImages(namespaces.WithNamespace(deadline(t), namespace))
	if err != nil || len(images) != 0 {
		t.Errorf("images: %v, %v", images, err)
	}
}

func TestAManifestThatIsNotWhatItsDigestSaysIsRefused(t *testing.T) {
	dir := t.TempDir()
	manifest, _ := image(t, dir)
	path := layout(dir).path(manifest)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := layout(dir).manifest(manifest); err == nil {
		t.Error("accepted")
	}
}
