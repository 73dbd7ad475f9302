package registry_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/registry"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/test/oracles"
)

const repository = "slipway/etcd"

// published is a layout with an image, its evidence and its signatures, and a registry over it.
func published(t *testing.T) (server *httptest.Server, dir string, image oracles.Image) {
	t.Helper()
	dir = t.TempDir()
	r := referrer.OpenLayout(dir, repository)
	image = oracles.PutImage(t, r, "v3.6.16", "etcd")
	key, err := sign.LocalKey(t.TempDir())
	check(t, err)
	check(t, referrer.AttachEvidence(t.Context(), r, image.Index.Descriptor(), "linux/amd64",
		referrer.Evidence{SPDX: []byte(`{"s":1}`), CycloneDX: []byte(`{"c":1}`), Provenance: []byte(`{"p":1}`)}))
	_, err = key.Image(t.Context(), r, "registry.example/"+repository, "v3.6.16")
	check(t, err)
	server = httptest.NewServer(registry.New(dir))
	t.Cleanup(server.Close)
	return server, dir, image
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, method, url string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	check(t, err)
	resp, err := http.DefaultClient.Do(request)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp, body
}

func TestReferrersAreListed(t *testing.T) {
	server, _, image := published(t)
	list := server.URL + "/v2/" + repository + "/referrers/"
	absent := "sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name, url string
		status    int
		types     []string // of what is listed, sorted
		filtered  bool
	}{
		{"all", list + image.Index.Digest(), 200, []string{referrer.TypeSPDX, referrer.TypeBundle, referrer.TypeProvenance, referrer.TypeCycloneDX}, false},
		{"one type", list + image.Index.Digest() + "?artifactType=" + referrer.TypeProvenance, 200, []string{referrer.TypeProvenance}, true},
		{"no such type", list + image.Index.Digest() + "?artifactType=application/none", 200, nil, true},
		{"of a manifest", list + image.Gzip.Digest(), 200, []string{referrer.TypeBundle}, false},
		{"of what is not here", list + absent, 200, nil, false},
		{"in another repository", server.URL + "/v2/slipway/other/referrers/" + image.Index.Digest(), 200, nil, false},
		{"of a tag", list + "v3.6.16", 400, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := get(t, "GET", tt.url)
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d: %s", resp.StatusCode, body)
			}
			if tt.status != 200 {
				return
			}
			if got := resp.Header.Get("Content-Type"); got != "application/vnd.oci.image.index.v1+json" {
				t.Errorf("content type %q", got)
			}
			if got := resp.Header.Get("OCI-Filters-Applied") == "artifactType"; got != tt.filtered {
				t.Errorf("filter applied: %v", got)
			}
			var index v1.IndexManifest
			check(t, json.Unmarshal(body, &index))
			var types []string
			for _, d := range index.Manifests {
				types = append(types, d.ArtifactType)
			}
			slices.Sort(types)
			slices.Sort(tt.types)
			if index.Manifests == nil || !slices.Equal(types, tt.types) {
				t.Errorf("types %v, want %v in %s", types, tt.types, body)
			}
		})
	}
}

func TestASpoiltListOfReferrersIsAnError(t *testing.T) {
	server, dir, image := published(t)
	m, err := referrer.OpenLayout(dir, repository).Manifest(t.Context(), referrer.Tag(image.Index.Digest()), referrer.MaxList)
	check(t, err)
	blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(m.Digest(), "sha256:"))
	check(t, errors.Join(os.Remove(blob), os.WriteFile(blob, []byte("{"), 0o644)))
	url := server.URL + "/v2/" + repository + "/referrers/" + image.Index.Digest()
	if resp, body := get(t, "GET", url); resp.StatusCode != 500 || !strings.Contains(string(body), "list of referrers") {
		t.Errorf("spoilt: %d %s", resp.StatusCode, body)
	}
	check(t, os.Remove(blob))
	if resp, body := get(t, "GET", url); resp.StatusCode != 200 || !strings.Contains(string(body), `"manifests":[]`) {
		t.Errorf("missing, as in a copy without evidence: %d %s", resp.StatusCode, body)
	}
}

func TestSignaturesAreFoundByTheirTags(t *testing.T) {
	server, _, image := published(t)
	base := server.URL + "/v2/" + repository
	_, body := get(t, "GET", base+"/tags/list")
	for _, tag := range []string{"v3.6.16", sign.SimpleTag(image.Index.Digest()), sign.SimpleTag(image.Zstd.Digest()), referrer.Tag(image.Index.Digest())} {
		if !strings.Contains(string(body), `"`+tag+`"`) {
			t.Errorf("%s is not in %s", tag, body)
		}
		if resp, _ := get(t, "HEAD", base+"/manifests/"+tag); resp.StatusCode != 200 || resp.Header.Get("Docker-Content-Digest") == "" {
			t.Errorf("%s: %d", tag, resp.StatusCode)
		}
	}
}

// TestOrasListsReferrers asks the library of the oras command, of our registry and of the layout.
func TestOrasListsReferrers(t *testing.T) {
	program := oracles.Program(t, "oras")
	server, dir, image := published(t)
	at := strings.TrimPrefix(server.URL, "http://") + "/" + repository
	fromRegistry := oracles.Ask(t, program, "-repository", at, "-reference", "v3.6.16")
	if n := strings.Count(fromRegistry, "\n") + 1; n != 4 {
		t.Errorf("%d referrers in the registry:\n%s", n, fromRegistry)
	}
	if got := oracles.Ask(t, program, "-layout", dir, "-reference", repository+":v3.6.16"); got != fromRegistry {
		t.Errorf("the layout has\n%s\nthe registry\n%s", got, fromRegistry)
	}
	for _, where := range [][]string{{"-repository", at, "-reference", image.Index.Digest()}, {"-layout", dir, "-reference", repository + ":v3.6.16"}} {
		got := oracles.Ask(t, program, append(where, "-type", referrer.TypeSPDX)...)
		if !strings.HasPrefix(got, referrer.TypeSPDX+" sha256:") || strings.Contains(got, "\n") {
			t.Errorf("%v: of one type: %s", where, got)
		}
	}
}

// TestSkopeoCopiesOurImages asks Debian's skopeo for images of our registry.
func TestSkopeoCopiesOurImages(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed (make test-deps)")
	}
	server, _, image := published(t)
	at := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/" + repository
	skopeo := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "skopeo", args...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("skopeo %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := skopeo("inspect", "--tls-verify=false", "--raw", at+":v3.6.16"); got != string(image.Index.Content) {
		t.Errorf("inspect --raw: %s", got)
	}
	if got := skopeo("inspect", "--tls-verify=false", "--format", "{{.Architecture}}", at+":v3.6.16"); strings.TrimSpace(got) != "amd64" {
		t.Errorf("inspect: %s", got)
	}
	if got := skopeo("list-tags", "--tls-verify=false", at); !strings.Contains(got, `"v3.6.16"`) {
		t.Errorf("list-tags: %s", got)
	}
	policy := filepath.Join(t.TempDir(), "policy.json")
	check(t, os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644))
	copied := filepath.Join(t.TempDir(), "copied")
	skopeo("--policy", policy, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", at+":v3.6.16", "oci:"+copied+":"+repository+":v3.6.16")
	r := referrer.OpenLayout(copied, repository)
	for _, m := range []referrer.Manifest{image.Index, image.Gzip, image.Zstd} {
		if got, err := r.Manifest(t.Context(), m.Digest(), referrer.MaxManifest); err != nil || string(got.Content) != string(m.Content) {
			t.Errorf("%s was not copied: %v", m.Digest(), err)
		}
	}
}
