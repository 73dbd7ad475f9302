package component

import (
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

func TestRecipesAndSourcesNameTheSameVersions(t *testing.T) {
	for _, r := range Recipes() {
		in, err := readInputs("sources", r)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(in.Module, "h1:") {
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
	fresh := &lock.Lock{Schema: lock.Schema, Toolchain: Toolchain}
	for _, r := range Recipes() {
		in, err := readInputs("sources", r)
		if err != nil {
			t.Fatal(err)
		}
		j := job{in: in}
		fresh.Images = append(fresh.Images, j.built(packed{}, entry{}, false).Image)
	}
	slices.SortFunc(fresh.Images, func(x, y lock.Image) int { return strings.Compare(x.Name, y.Name) })
	for _, d := range Differences(committed, fresh) {
		if d.Input {
			t.Errorf("%s; run slipway images lock", d)
		}
	}
}

func TestKubernetesIsStampedAsUpstreamDoes(t *testing.T) {
	flags, err := func() ([]string, error) { r := kubernetes("kubelet"); return r.Flags() }()
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
