package conductor

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/imagebuild/lock"
)

func aheadOf(t *testing.T) Ahead {
	t.Helper()
	image := func(name, version string) lock.Image {
		return lock.Image{Name: name, Version: version, Repository: "slipway/" + name,
			Platforms: []lock.Platform{{Platform: nodePlatform, Manifest: "sha256:" + name + version}}}
	}
	locked := &lock.Lock{Images: []lock.Image{
		image("coredns", "v1.15.0"), {Name: "fluentd", Version: "v1.19.2", Unresolved: "no network"}, image("kubelet", "v1.36.1"), image("kubelet", "v1.36.3"),
	}}
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return Ahead{Store: s, Trust: Trust{Locked: locked, Digest: "sha256:lock", Registries: []string{"http://192.0.2.1"}}}
}

func TestImagesAreFetchedAheadByNameAndVersion(t *testing.T) {
	a, node := aheadOf(t), &store.Node{ID: "no-plan-yet", Name: "n"}
	for name, tt := range map[string]struct {
		names []string
		want  string // the digest of the first image, or what the error says
		good  bool
	}{
		"the only version":        {[]string{"coredns"}, "sha256:corednsv1.15.0", true},
		"one of two":              {[]string{"kubelet@v1.36.1"}, "sha256:kubeletv1.36.1", true},
		"the other of two":        {[]string{"kubelet@v1.36.3"}, "sha256:kubeletv1.36.3", true},
		"two without a version":   {[]string{"kubelet"}, "name one of kubelet@v1.36.1, kubelet@v1.36.3", false},
		"a version that is not":   {[]string{"kubelet@v1.36.2"}, "name one of kubelet@v1.36.1, kubelet@v1.36.3", false},
		"both at once":            {[]string{"kubelet@v1.36.1", "kubelet@v1.36.3"}, "kubelet is named twice", false},
		"one twice":               {[]string{"coredns", "coredns@v1.15.0"}, "coredns is named twice", false},
		"an unresolved one":       {[]string{"fluentd"}, "unresolved", false},
		"one that is not there":   {[]string{"nope"}, "it has coredns, fluentd, kubelet", false},
		"nothing, without a plan": {nil, "no plan yet", false},
	} {
		t.Run(name, func(t *testing.T) {
			arguments, err := a.Ahead(t.Context(), node, slices.Clone(tt.names))
			if !tt.good {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil || len(arguments.Images) != 1 || arguments.Images[0].Digest != tt.want {
				t.Errorf("%+v, %v", arguments, err)
			}
		})
	}
}

func TestABareNameIsTheVersionThatTheNodeRuns(t *testing.T) {
	a := aheadOf(t)
	for _, version := range []string{"v1.36.1", "v1.36.3"} {
		image, err := a.find("kubelet", map[string]string{"kubelet": "sha256:kubelet" + version})
		if err != nil || image.Version != version {
			t.Errorf("%+v, %v", image, err)
		}
	}
	if _, err := a.find("kubelet", map[string]string{"kubelet": "sha256:of another lock"}); err == nil {
		t.Error("a version was guessed")
	}
}
