package component

import (
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

func TestRecipesAndSourcesNameTheSameVersions(t *testing.T) {
	for _, r := range Recipes() {
		in, err := readInputs("sources", r, HostPlatform())
		if err != nil {
			t.Error(err)
			continue
		}
		if r.Reference == "" && !strings.HasPrefix(in.Module, "h1:") {
			t.Errorf("%s: module sum %q", r.Image, in.Module)
		}
	}
}

// What can be compared without building must be right in the committed lock, so that a
// recipe is not changed without it.
func TestTheCommittedLockHasTheInputsOfTheRecipes(t *testing.T) {
	committed, err := lock.Load("../../images.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Recipes() {
		now, err := described("sources", r)
		if err != nil {
			t.Fatal(err)
		}
		before, found := committed.Find(r.Image, r.Version)
		if !found {
			t.Errorf("%s is not in the lock; run slipway images lock %s", r.ID(), r.ID())
			continue
		}
		for _, changed := range changedInputs(before, &now) {
			t.Errorf("%s: %s; run slipway images lock %s", r.ID(), changed, r.ID())
		}
	}
	if committed.Toolchain != Toolchain {
		t.Errorf("the lock is of toolchain %s, builds are of %s; run slipway images lock", committed.Toolchain, Toolchain)
	}
	for _, img := range committed.Images {
		if !slices.ContainsFunc(Recipes(), func(r Recipe) bool { return r.Image == img.Name && r.Version == img.Version }) {
			t.Errorf("%s@%s has no recipe; run slipway images lock", img.Name, img.Version)
		}
	}
}

func TestKubernetesIsStampedAsUpstreamDoes(t *testing.T) {
	flags, err := func() ([]string, error) { r := kubernetes("v1.36.3", "kubelet"); return r.Flags() }()
	if err != nil {
		t.Fatal(err)
	}
	want := "-ldflags=-s -w -buildid="
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		want += " -X " + p + ".gitVersion=v1.36.3 -X " + p + ".gitMajor=1 -X " + p + ".gitMinor=36 -X " + p +
			".gitCommit=unknown -X " + p + ".gitTreeState=archive -X " + p + ".buildDate=1970-01-01T00:00:00Z"
	}
	if got := flags[len(flags)-1]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
