package osimage

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage/lint"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sign"
)

func TestADerivedImageIsSignedInBothFormsWhereverItIsWritten(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	_, pinned := plain(t, testbase.Options{Layers: 2, LayerSize: 100})
	dir := filepath.Join(t.TempDir(), "node.oci")
	remote, err := name.NewRepository(host + "/os/node")
	if err != nil {
		t.Fatal(err)
	}
	for out, r := range map[string]struct {
		repository referrer.Repository
		identity   string
	}{
		dir:                  {referrer.OpenLayout(dir, "os/node"), repository},
		host + "/os/node:v1": {referrer.OpenRegistry(remote, nil), host + "/os/node"},
	} {
		opts := options(t, pinned, out)
		for range 2 { // the second time changes nothing
			built, err := Build(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := lock.PublicKeys(opts.Contents.TrustKeys)
			if err != nil {
				t.Fatal(err)
			}
			found, err := sign.VerifyImage(t.Context(), r.repository, r.identity, built.Image.Derived, keys)
			if err != nil || len(found) != 2 {
				t.Errorf("%s: %+v, %v", out, found, err)
			}
		}
		s, err := lint.FromImage(t.Context(), open(t, out, "amd64"), open(t, pinned, "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for _, f := range lint.Run(s) {
			if !strings.HasPrefix(f.Happens, "base and layers together have no directory") { // of the small base of tests
				rules = append(rules, f.Rule+": "+f.Path)
			}
		}
		if len(rules) != 0 {
			t.Errorf("%s: findings %v", out, rules)
		}
	}
}
