package stages

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
)

// waiting adds an image to a lock that nobody has resolved.
func waiting(l *lock.Lock) {
	l.Images = append(l.Images, lock.Image{
		Name: "upstream", Version: "v1.0.0", Repository: "slipway/upstream",
		Source:     lock.Source{Reference: "registry.example/upstream:v1.0.0"},
		Unresolved: "its digest was not fetched yet",
	})
}

func TestALockThatBreaksARuleIsNotPublished(t *testing.T) {
	day := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	accepted := lock.Acceptance{Rule: "unresolved", Image: "upstream", Reason: "nothing of a cluster needs it yet", Until: "2026-11-22"}
	cache, keys := t.TempDir(), t.TempDir()
	for _, c := range []struct {
		name   string
		before func(*lock.Lock)
		now    time.Time
		state  pipeline.State
		reason string
	}{
		{"as it was built", nil, day, pipeline.Done, ""},
		{"with an image that has no digest", waiting, day, pipeline.Failed, "its digest was not fetched yet"},
		{"with that accepted", func(l *lock.Lock) { waiting(l); l.Accepted = []lock.Acceptance{accepted} }, day, pipeline.Done, ""},
		{"on the day after", func(l *lock.Lock) { waiting(l); l.Accepted = []lock.Acceptance{accepted} }, day.AddDate(0, 0, 1), pipeline.Failed, "there are 2 findings"},
		{"with an acceptance that nothing needs", func(l *lock.Lock) { l.Accepted = []lock.Acceptance{accepted} }, day, pipeline.Failed, "nothing is found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			all := ran(t, proved(t, Config{All: true, Keys: keys, Publish: "oci:" + dir, Now: func() time.Time { return c.now }}, c.before), cache)
			s := all["lint-lock"]
			if s.State != c.state || !strings.Contains(s.Reason, c.reason) {
				t.Fatalf("lint-lock is %s: %s", s.State, s.Reason)
			}
			var fact report.Lock
			if ok, err := s.Fact(report.LockFact, &fact); !ok || err != nil || len(fact.Rules) < 19 {
				t.Fatalf("its fact: %+v, %v", fact, err)
			}
			if want := c.before != nil && c.state == pipeline.Done; want != (len(fact.Accepted) == 1 && *fact.Accepted[0].Accepted == accepted) {
				t.Errorf("accepted: %+v", fact.Accepted)
			}
			_, err := os.Stat(dir)
			publish := all["publish"]
			if c.state == pipeline.Done && (publish.State != pipeline.Done || err != nil) {
				t.Errorf("publish is %s (%s), %v", publish.State, publish.Reason, err)
			}
			if c.state == pipeline.Failed && (publish.State != pipeline.Blocked || publish.Root != "lint-lock" || err == nil) {
				t.Errorf("publish is %s because of %q, and %s is there: %v", publish.State, publish.Root, dir, err == nil)
			}
		})
	}
}

func TestTheStepFromAnEarlierLockIsHeldAgainstTheRules(t *testing.T) {
	c := smallest(t, Config{})
	l, err := lock.Load(c.in("images.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	l.Number = 7
	text, err := l.YAML("The lock that clusters are on.")
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(t.TempDir(), "from.yaml")
	if err := os.WriteFile(from, text, 0o644); err != nil {
		t.Fatal(err)
	}
	s := ran(t, proved(t, Config{Keys: t.TempDir(), From: from}, nil), t.TempDir())["lint-lock"]
	var fact report.Lock
	if _, err := s.Fact(report.LockFact, &fact); err != nil || fact.From != 7 {
		t.Errorf("its fact: %+v, %v", fact, err)
	}
	if s.State != pipeline.Failed || !strings.Contains(s.Reason, "does not follow 7") {
		t.Errorf("lint-lock is %s: %s", s.State, s.Reason)
	}
}

// Whatever stages are added: publication comes after each of them.
func TestPublicationNeedsEveryOtherStage(t *testing.T) {
	g, err := New(Config{Root: "/somewhere", Keys: t.TempDir(), Publish: "oci:out"})
	if err != nil {
		t.Fatal(err)
	}
	plans, err := g.Plan(t.Context(), pipeline.Options{Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	publish := plans[len(plans)-1]
	for _, name := range g.Names() {
		if name != "publish" && !slices.Contains(publish.After, name) {
			t.Errorf("publish does not need %s", name)
		}
	}
	for _, name := range []string{"lint-lock", "conformance", "e2e"} {
		if !slices.Contains(publish.After, name) {
			t.Errorf("publish does not come after %s: %v", name, publish.After)
		}
	}
}
