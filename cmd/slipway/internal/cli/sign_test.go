package cli

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sign"
)

var oneImage = referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`)}

// command runs the slipway command with a state directory of its own.
func command(t *testing.T, state string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), append([]string{"--state", state}, args...), IO{In: strings.NewReader(""), Out: &out, Err: &errs, Now: time.Now})
	return code, out.String(), errs.String()
}

func TestImagesAreSignedAndVerifiedInARegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	image := strings.TrimPrefix(server.URL, "http://") + "/slipway/etcd"
	repository, err := name.NewRepository(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := referrer.OpenRegistry(repository, nil).PutManifest(context.Background(), oneImage, "v1"); err != nil {
		t.Fatal(err)
	}
	mine, others := t.TempDir(), t.TempDir()
	if _, err := sign.LocalKey(filepath.Join(others, "control", "keys")); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name, state string
		args        []string
		code        int
		want        string
	}{
		{"verify without a key", mine, []string{"images", "verify", image + ":v1"}, 1, "give them with --key"},
		{"verify before it is signed", others, []string{"images", "verify", image + ":v1"}, 1, "no signature"},
		{"sign with the local key, made now", mine, []string{"images", "sign", image + ":v1"}, 0, "(local)"},
		{"verify", mine, []string{"images", "verify", image + "@" + oneImage.Digest()}, 0, "simple signing"},
		{"verify with another key", others, []string{"images", "verify", image + ":v1"}, 1, "none of the 1 trusted keys"},
		{"verify as another repository's", mine, []string{"images", "verify", image + ":v1", "--identity", "registry.example/slipway/etcd"}, 1, "not of registry.example/slipway/etcd"},
		{"sign what is not there", mine, []string{"images", "sign", image + ":v2"}, 1, "not found"},
		{"sign what is no name", mine, []string{"images", "sign", image}, 2, "want repository:tag"},
		{"sign nothing", mine, []string{"images", "sign"}, 2, "no image named"},
		{"sign with a key that is not there", mine, []string{"images", "sign", image + ":v1", "--key", filepath.Join(mine, "none")}, 1, "no such file"},
	}
	for _, s := range steps {
		code, out, errs := command(t, s.state, s.args...)
		if code != s.code || !strings.Contains(out+errs, s.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", s.name, code, s.code, s.want, out, errs)
		}
	}
}

func TestAllImagesOfALayoutAreSigned(t *testing.T) {
	state, layout := t.TempDir(), filepath.Join(t.TempDir(), "layout")
	for _, repository := range []string{"slipway/coredns", "slipway/etcd"} {
		if err := referrer.OpenLayout(layout, repository).PutManifest(t.Context(), oneImage, "v1"); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := command(t, state, "images", "sign", "--layout", layout); code != 2 || !strings.Contains(errs, "give the layout's --registry") {
		t.Errorf("without a registry: %d %s%s", code, out, errs)
	}
	flags := []string{"--layout", layout, "--registry", "registry.example"}
	for range 2 { // the second time, the signatures' own tags are there and are no images
		if code, out, errs := command(t, state, append([]string{"images", "sign"}, flags...)...); code != 0 || strings.Count(out, "1 digests signed") != 2 {
			t.Errorf("%d %s%s", code, out, errs)
		}
	}
	code, out, errs := command(t, state, append([]string{"images", "verify", "-o", "json"}, flags...)...)
	if code != 0 || strings.Count(out, `"identity": "registry.example/slipway/`) != 2 || strings.Count(out, `"form": "bundle"`) != 2 {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if err := os.RemoveAll(filepath.Join(layout, "blobs")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, state, append([]string{"images", "verify"}, flags...)...); code != 1 || !strings.Contains(errs, "not found") {
		t.Errorf("without blobs: %d %s", code, errs)
	}
}

func TestNamesOfImagesAreToldFromPaths(t *testing.T) {
	here := t.TempDir()
	for arg, want := range map[string]bool{
		"registry.example/slipway/etcd:v1": true,
		"127.0.0.1:5000/etcd@sha256:00":    true,
		"localhost/etcd:v1":                true,
		here:                               false,
		filepath.Join(here, "a.b", "c:d"):  false,
		"layout":                           false,
		"./layout.d/x:y":                   false,
		"registry.example/slipway/etcd":    false,
		"slipway/etcd:v1":                  false,
	} {
		if got := isImage(arg); got != want {
			t.Errorf("%s: %v", arg, got)
		}
	}
}
