package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// sources is a world in which updates are looked for.
type sources struct {
	versions map[string][]string
	packages map[string]lock.Package // by name:architecture
	digests  map[string]string       // by reference
}

var errRefused = errors.New("403 Forbidden")

func (s sources) Versions(_ context.Context, module string) ([]string, error) {
	if all, ok := s.versions[module]; ok {
		return all, nil
	}
	return nil, fmt.Errorf("list the versions of %s: %w", module, errRefused)
}

func (s sources) Sum(_ context.Context, module, version string) (string, error) {
	if version == "v9.9.9" {
		return "", fmt.Errorf("fetch %s %s: 404", module, version)
	}
	return "h1:" + module + "@" + version, nil
}

func (s sources) Candidate(_ context.Context, name, architecture string) (lock.Package, error) {
	if p, ok := s.packages[name+":"+architecture]; ok {
		return p, nil
	}
	return lock.Package{}, fmt.Errorf("ask apt for %s on %s: no packages found", name, architecture)
}

func (s sources) Digest(_ context.Context, reference string) (string, error) {
	if d, ok := s.digests[reference]; ok {
		return d, nil
	}
	return "", fmt.Errorf("ask for %s: no route to host", reference)
}

func (s sources) Resolve(_ context.Context, img lock.Image) (*lock.Image, error) {
	out := img
	reference, _, _ := strings.Cut(img.Source.Reference, "@")
	out.Index, out.Unresolved = s.digests[reference], ""
	out.Source.Reference = reference + "@" + out.Index
	out.Platforms = []lock.Platform{platformOf(img.Name, "linux/amd64", out.Index)}
	return &out, nil
}

// upstream is an unresolved image.
func upstream(name, version, reference string) []lock.Image {
	return []lock.Image{{Name: name, Version: version, Repository: "upstream/" + name, Source: lock.Source{Reference: reference}, Unresolved: "no machine with a network has resolved it"}}
}

// world is a lock with all kinds of sources, and what is there for them.
func world(t *testing.T) (*lock.Lock, *Updater) {
	t.Helper()
	bird := lock.Package{Name: "bird", Version: "1.6.8-2.1", Path: "pool/main/b/bird/bird_1.6.8-2.1_amd64.deb", SHA256: bare(sum("old bird"))}
	node := one("calico-node", "v3.28.5")
	node[0].Platforms[0].Debian = []lock.Package{bird}
	node[0].Platforms[1].Debian = []lock.Package{bird}
	l := lockOf(t, kubernetes("v1.36.1"), kubernetes("v1.36.3"), one("coredns", "v1.15.0"), node,
		upstream("cluster-autoscaler", "v1.36.1", "registry.example/cluster-autoscaler:v1.36.1"), upstream("fluentd", "v1.19.2", "registry.example/fluentd:v1.19.2"))
	bird.Version, bird.SHA256 = "1.6.8-2.1+b1", bare(sum("new bird"))
	s := sources{
		versions: map[string][]string{
			"k8s.io/kubernetes":   {"v1.36.0", "v1.36.3", "v1.36.4", "v1.36.10", "v1.36.11-rc.0", "v1.37.2", "v1.38.0-alpha.1", "broken"},
			"example.org/coredns": {"v1.14.7", "v1.15.0"},
		},
		packages: map[string]lock.Package{"bird:amd64": bird},
		digests:  map[string]string{"registry.example/fluentd:v1.19.2": sum("fluentd")},
	}
	return l, &Updater{Modules: s, Archive: s, Registry: s}
}

func TestAPlanSaysWhatIsNewerAndWhatIsNotKnown(t *testing.T) {
	l, u := world(t)
	var seen []string
	u.Progress = func(source string) { seen = append(seen, source) }
	all, err := u.Plan(t.Context(), l, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteProposals(&text, all); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.golden", text.String())
	if len(seen) != len(all) {
		t.Errorf("%d looks for %d sources", len(seen), len(all))
	}
}

func TestOneModuleCanGoToAVersionThatIsNamed(t *testing.T) {
	l, u := world(t)
	all, err := u.Plan(t.Context(), l, []string{"calico-node"}, "v3.28.6")
	if err != nil || all[len(all)-1].Proposed != "v3.28.6" || all[len(all)-1].Sum != "h1:example.org/calico-node@v3.28.6" {
		t.Errorf("%+v, %v", all, err)
	}
	all, err = u.Plan(t.Context(), l, []string{"coredns"}, "v9.9.9")
	if err != nil || all[0].Proposed != "" || !strings.Contains(all[0].Unresolved, "404") {
		t.Errorf("a version that is not there: %+v, %v", all, err)
	}
	for name, tt := range map[string]struct {
		names []string
		to    string
		want  string
	}{
		"two modules":     {[]string{"coredns", "kubelet"}, "v1.36.4", "exactly one module"},
		"no module":       {[]string{"fluentd"}, "v1.36.4", "exactly one module"},
		"no version":      {[]string{"coredns"}, "latest", "no version of a Go module"},
		"an unknown name": {[]string{"nope"}, "", "no image"},
	} {
		if _, err := u.Plan(t.Context(), l, tt.names, tt.to); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatTheLockHasAlreadyIsNotProposed(t *testing.T) {
	l, u := world(t)
	u.Modules = sources{versions: map[string][]string{"k8s.io/kubernetes": {"v1.36.1", "v1.36.2", "v1.36.3"}}}
	all, err := u.Plan(t.Context(), l, []string{"kubelet"}, "")
	if err != nil || len(all) != 2 || all[0].Proposed != "" || all[1].Proposed != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = u.Plan(t.Context(), l, []string{"kubelet@v1.36.1"}, "v1.36.3"); err != nil || all[0].Proposed != "v1.36.3" {
		t.Errorf("when it is named: %+v, %v", all, err)
	}
}

func TestOnlyWhatWasResolvedIsWritten(t *testing.T) {
	l, u := world(t)
	before, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	all, err := u.Plan(t.Context(), l, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	next, n, err := Apply(l, all, today, time.Hour)
	if err != nil || n != 1 || next.Number != 8 {
		t.Fatalf("%d resolved, number %d, %v", n, next.Number, err)
	}
	fluentd, _ := next.Find("fluentd", "v1.19.2")
	if fluentd.Index != sum("fluentd") || fluentd.Unresolved != "" || fluentd.Source.Reference != "registry.example/fluentd:v1.19.2@"+sum("fluentd") {
		t.Errorf("%+v", fluentd)
	}
	for _, img := range next.Images {
		if old, ok := l.Find(img.Name, img.Version); img.Name != "fluentd" && (!ok || old.Index != img.Index || old.Unresolved != img.Unresolved) {
			t.Errorf("%s has changed", full(&img))
		}
	}
	if after, err := l.Canonical(); err != nil || !bytes.Equal(before, after) {
		t.Error("the lock that was looked at has changed")
	}
	if again, err := u.Plan(t.Context(), next, []string{"fluentd"}, ""); err != nil || again[0].Proposed != "" || again[0].Unresolved != "" {
		t.Errorf("resolved once more: %+v, %v", again, err)
	}
	if same, n, err := Apply(next, nil, today, time.Hour); n != 0 || same != next || err != nil {
		t.Errorf("nothing to do: %d, %v", n, err)
	}
}

func TestABuildKeepsWhatWasResolved(t *testing.T) {
	l, u := world(t)
	all, err := u.Plan(t.Context(), l, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	committed, _, err := Apply(l, all, today, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	committed.Accepted = []lock.Acceptance{{Rule: "calico", Image: "calico-node", Reason: "tried", Until: "2027-01-31"}}
	built, _ := world(t)
	Keep(committed, built)
	if len(built.Accepted) != 1 {
		t.Errorf("acceptances: %v", built.Accepted)
	}
	fluentd, _ := built.Find("fluentd", "v1.19.2")
	if fluentd.Index != sum("fluentd") || fluentd.Unresolved != "" {
		t.Errorf("lost: %+v", fluentd)
	}
	if err := built.Validate(); err != nil {
		t.Error(err)
	}
	moved, _ := world(t)
	moved.ByName("fluentd")[0].Source.Reference = "registry.example/other:v1.19.2"
	Keep(committed, moved)
	if moved.ByName("fluentd")[0].Unresolved == "" {
		t.Error("the digest of another reference was kept")
	}
}

func TestACancelledPlanEnds(t *testing.T) {
	l, u := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Plan(ctx, l, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEditsNameFileAndLine(t *testing.T) {
	clone := Clone{Recipes: "imagebuild/component", Sources: "imagebuild/component/sources", Files: fstest.MapFS{
		"imagebuild/component/kubernetes.go":                     {Data: []byte("package component\n// k8s.io/kubernetes\nvar a = \"v1.36.3\"\nvar b = \"v1.36.30\"\n")},
		"imagebuild/component/other.go":                          {Data: []byte("var a = \"v1.36.3\" // of something else\n")},
		"imagebuild/component/kubernetes_test.go":                {Data: []byte("// k8s.io/kubernetes \"v1.36.3\"\n")},
		"imagebuild/component/packages.yaml":                     {Data: []byte("name: bird\nversion: 1.6.8-2.1\n")},
		"imagebuild/component/sources/kubernetes/v1.36.3/go.mod": {Data: []byte("module x\n\nrequire k8s.io/kubernetes v1.36.3\n\nreplace k8s.io/api => k8s.io/api v0.36.3\n\nreplace k8s.io/client-go => k8s.io/client-go v0.36.3\n")},
		"imagebuild/component/sources/kubernetes/v1.36.1/go.mod": {Data: []byte("module x\n\nrequire k8s.io/kubernetes v1.36.1\n")},
		"imagebuild/component/sources/coredns/go.mod":            {Data: []byte("module x\n\nrequire example.org/coredns v1.15.0\n")},
	}}
	for name, tt := range map[string]struct {
		proposal Proposal
		want     []string
	}{
		"a module with a folder for each version": {Proposal{Kind: Module, Source: "k8s.io/kubernetes", Current: "v1.36.3", Proposed: "v1.36.4"}, []string{
			`run sed -i '3s/v1\.36\.3/v1.36.4/' imagebuild/component/kubernetes.go`,
			"run cp -r imagebuild/component/sources/kubernetes/v1.36.3 imagebuild/component/sources/kubernetes/v1.36.4   # the old one stays while the lock has that version",
			`run sed -i 's/v0\.36\.3$/v0.36.4/' imagebuild/component/sources/kubernetes/v1.36.4/go.mod   # replacements: 2`,
			"run go -C imagebuild/component/sources/kubernetes/v1.36.4 get k8s.io/kubernetes@v1.36.4",
			"run slipway images lock",
		}},
		"a module that no recipe names as it is": {Proposal{Kind: Module, Images: []string{"coredns@v1.15.0"}, Source: "example.org/coredns", Current: "v1.15.0", Proposed: "v1.15.1"}, []string{
			"edit the recipe of coredns@v1.15.0 in imagebuild/component: v1.15.0 becomes v1.15.1",
			"run go -C imagebuild/component/sources/coredns get example.org/coredns@v1.15.1",
			"run slipway images lock",
		}},
		"a Debian package": {Proposal{Kind: Debian, Source: "bird:amd64", Current: "1.6.8-2.1", Proposed: "1.6.8-2.1+b1"}, []string{
			`run sed -i '2s/1\.6\.8-2\.1/1.6.8-2.1+b1/' imagebuild/component/packages.yaml`,
			"run slipway images lock",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := clone.Edits(tt.proposal)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}
