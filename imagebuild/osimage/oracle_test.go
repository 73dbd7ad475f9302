package osimage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/osimage/testbase"
	own "slipway.build/slipway/imagebuild/registry"
)

// need names a package of Debian's that `make test-deps` installs.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (make test-deps)", program)
	}
}

// encapsulated writes a base with an ostree commit to a layout.
func encapsulated(t *testing.T) (repo, commit, dir, pinned string) {
	t.Helper()
	need(t, "ostree")
	repo = filepath.Join(t.TempDir(), "repo")
	commit, err := testbase.Commit(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	image, err := testbase.Encapsulated(repo, commit, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "encapsulated.oci")
	if err := testbase.Write(dir, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return repo, commit, dir, dir + "@" + digest.String()
}

// importer is how ostree-ext imports a derived layer (tar/write.rs): /etc becomes /usr/etc, directories
// that the tar leaves out are made.
func importer(t *testing.T, repo string, layer *Layer) (commit string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "layer.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layer.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	return strings.TrimSpace(run(t, "ostree", "--repo="+repo, "commit", "--branch=layer", "--no-bindings", "--tree=tar="+file,
		"--tar-autocreate-parents", "--tar-pathname-filter=^etc(.*),usr/etc\\1"))
}

func TestOstreeImportsTheLayerAsItIsMeant(t *testing.T) {
	repo, _, _, _ := encapsulated(t)
	c := options(t, "", "").Contents
	c.Files = []File{{Path: "/usr/libexec/cni/mine", Data: []byte("x"), Mode: 0o755}, {Path: "/etc/motd.d/ours", Data: []byte("hello\n")}}
	l := layer(t, c)
	commit := importer(t, repo, l)
	var want []string
	for _, e := range l.entries {
		name := "/" + e.path
		if name == "/etc" || strings.HasPrefix(name, "/etc/") {
			name = "/usr" + name
		}
		switch {
		case e.dir:
			want = append(want, fmt.Sprintf("d%05o 0 0 %s", e.mode, name))
		case e.target != "":
			want = append(want, fmt.Sprintf("l%05o 0 0 %s -> %s", e.mode, name, e.target))
		default:
			want = append(want, fmt.Sprintf("-%05o 0 0 %s", e.mode, name))
		}
	}
	got := map[string]bool{}
	for line := range strings.Lines(run(t, "ostree", "--repo="+repo, "ls", "-R", commit)) {
		fields := strings.Fields(line) // mode, owner, group, size, path
		got[strings.Join(append(fields[:3:3], fields[4:]...), " ")] = true
	}
	for _, w := range want {
		if !got[w] {
			t.Errorf("not in the commit: %s", w)
		}
		delete(got, w)
	}
	delete(got, "d00755 0 0 /")
	if len(got) != 0 {
		t.Errorf("in the commit besides: %v", got)
	}
}

func TestTheLayerOnTopOfABaseCommitIsTheTreeOfANode(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	repo, base, _, _ := encapsulated(t)
	commit := importer(t, repo, layer(t, options(t, "", "").Contents))
	tree := filepath.Join(t.TempDir(), "tree")
	run(t, "ostree", "--repo="+repo, "checkout", "--user-mode", base, tree)
	run(t, "ostree", "--repo="+repo, "checkout", "--user-mode", "--union", commit, tree)
	if target, err := os.Readlink(filepath.Join(tree, unitDir, "zincati.service")); target != "/dev/null" {
		t.Errorf("Zincati's unit is a link to %q, %v", target, err)
	}
	for name, mode := range map[string]os.FileMode{
		unitDir: 0o711, // the base's, whatever the layer says
		"usr/lib/modules/6.99.1-300.fc44.x86_64/vmlinuz": 0o755, "usr/bin/slipway-agent": 0o755, "usr/etc/containers/policy.json": 0o644,
		"usr/etc/os-release": 0o644, "usr/libexec/cni": 0o755,
	} {
		st, err := os.Stat(filepath.Join(tree, name))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want %v", name, st, err, mode)
		}
	}
}

func TestSkopeoCopiesAndInspectsBothFormsFromALayoutAndARegistry(t *testing.T) {
	need(t, "skopeo")
	_, _, _, commit := encapsulated(t)
	_, chunked := plain(t, testbase.Options{Layers: 400, LayerSize: 20})
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	_, few := plain(t, testbase.Options{Layers: 12, LayerSize: 200})
	for form, base := range map[string]string{"encapsulated": commit, "chunked": chunked, "few": few} {
		t.Run(form, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "node.oci")
			built, err := Build(t.Context(), options(t, base, dir))
			if err != nil {
				t.Fatal(err)
			}
			remote := strings.TrimPrefix(server.URL, "http://") + "/os/" + form + ":v1"
			if form != "chunked" {
				if _, err := Build(t.Context(), options(t, base, remote)); err != nil {
					t.Fatal(err)
				}
			}
			serving := httptest.NewServer(own.New(dir)) // which serves the layout itself
			defer serving.Close()
			for _, source := range []string{"oci:" + dir + ":os/node:test", "docker://" + remote, "docker://" + strings.TrimPrefix(serving.URL, "http://") + "/os/node:test"} {
				var seen struct {
					Digest       string
					Labels       map[string]string
					Layers       []string
					Architecture string
				}
				if form == "chunked" && strings.HasSuffix(source, remote) {
					continue
				}
				args := []string{"skopeo", "--insecure-policy", "inspect"}
				if strings.HasPrefix(source, "docker") {
					args = append(args, "--tls-verify=false")
				}
				if err := json.Unmarshal([]byte(run(t, append(args, source)...)), &seen); err != nil {
					t.Fatal(err)
				}
				if seen.Labels["com.coreos.stream"] != Stream || seen.Architecture != "amd64" || len(seen.Layers) != built.Layers && source[0] == 'o' {
					t.Errorf("%s: skopeo sees %+v", source, seen)
				}
				if form == "chunked" {
					continue // skopeo syncs its cache to the disk for each of 401 blobs: minutes
				}
				to := filepath.Join(t.TempDir(), "copy")
				run(t, "skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--preserve-digests", source, "dir:"+to)
				raw, err := os.ReadFile(filepath.Join(to, "manifest.json"))
				if err != nil {
					t.Fatal(err)
				}
				if got, _, _ := v1.SHA256(bytes.NewReader(raw)); source[0] == 'o' && got.String() != built.Image.Derived {
					t.Errorf("%s: skopeo has copied %s, built was %s", source, got, built.Image.Derived)
				}
			}
		})
	}
}

func TestPodmanUnpacksTheImageAndSeesTheFiles(t *testing.T) {
	need(t, "podman")
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	_, base := plain(t, testbase.Options{Layers: 5, LayerSize: 500})
	store := short(t) // podman takes no long paths, and no capital letters
	dir := filepath.Join(store, "node.oci")
	opts := options(t, base, dir)
	if _, err := Build(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unmount(t, store) })
	podman := func(args ...string) string {
		return strings.TrimSpace(run(t, append([]string{"podman", "--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run"),
			"--tmpdir", filepath.Join(store, "tmp"), "--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs"}, args...)...))
	}
	policy := filepath.Join(store, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(podman("pull", "--quiet", "--signature-policy", policy, "oci:"+dir+":os/node:test"))
	id := lines[len(lines)-1]
	tree := podman("image", "mount", id)
	defer podman("image", "rm", "--force", id)
	defer podman("image", "unmount", id)
	l := layer(t, opts.Contents)
	r := l.open()
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(filepath.Join(tree, h.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		if want := h.FileInfo().Mode(); st.Mode() != want && !(st.IsDir() && h.Typeflag == tar.TypeDir) {
			t.Errorf("%s: %v, want %v", h.Name, st.Mode(), want)
		}
	}
	if _, err := os.Stat(filepath.Join(tree, "usr/share/component-004/data")); err != nil {
		t.Errorf("the base's files: %v", err)
	}
}

// short is a temporary directory whose path is not made of the test's name.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipt-os-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// unmount lets go of what podman leaves mounted below a directory.
func unmount(t *testing.T, dir string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, dir+"/") {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", at, err)
			}
		}
	}
}
