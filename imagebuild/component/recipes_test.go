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
	fresh := &lock.Lock{Schema: lock.Schema, Toolchain: Toolchain}
	for _, r := range Recipes() {
		in, err := readInputs("sources", r, HostPlatform())
		if err != nil {
			t.Fatal(err)
		}
		var parts []part
		all := tasks([]Recipe{r}, []string{HostPlatform()})
		if len(all) > 0 {
			j := job{in: in}
			parts = append(parts, part{source: j.source(), unresolved: "x"})
		}
		built, err := join([]Recipe{r}, all, parts)
		if err != nil {
			t.Fatal(err)
		}
		fresh.Images = append(fresh.Images, built[0].Image)
	}
	slices.SortFunc(fresh.Images, func(x, y lock.Image) int { return x.Compare(&y) })
	for _, d := range Differences(committed, fresh) {
		if d.Input && d.Field != "unresolved" {
			t.Errorf("%s; run slipway images lock", d)
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
