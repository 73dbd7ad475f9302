package stages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/lock"
)

// proved is a pipeline that builds the smallest image and holds what is said about it, and its lock,
// against the rules; before may change the lock that the clone has.
func proved(t *testing.T, c Config, before func(*lock.Lock)) *pipeline.Graph {
	t.Helper()
	c = smallest(t, c)
	if before != nil {
		file := c.in("images.yaml")
		l, err := lock.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		before(l)
		text, err := l.YAML("A lock for tests.")
		if err == nil {
			err = os.WriteFile(file, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	all := []pipeline.Stage{c.images(), c.lock(), c.gate(), c.sbom(), c.sign(), c.lintLock(), c.reproduce()}
	if c.Publish != "" {
		all = append(all, c.publish(all))
	}
	g, err := pipeline.NewGraph(all...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// checks are what a stage says that it has looked at.
func checks(t *testing.T, s pipeline.StageResult) map[string]string {
	t.Helper()
	var all []report.Check
	if ok, err := s.Fact(report.ChecksFact, &all); !ok || err != nil {
		t.Fatalf("%s is %s (%s) and has no checks: %v", s.Name, s.State, s.Reason, err)
	}
	byWhat := map[string]string{}
	for _, c := range all {
		byWhat[c.What] = c.Detail
	}
	return byWhat
}

func TestWhatIsSaidAboutImagesIsMadeAnewAndTheSame(t *testing.T) {
	cache := t.TempDir()
	for _, c := range []struct {
		all             bool
		count, attached string
	}{{true, "2", "2"}, {false, "1", "0"}} {
		got := ran(t, proved(t, Config{All: c.all, Keys: t.TempDir()}, nil), cache)
		for name, s := range got {
			if !s.State.Held() {
				t.Errorf("all %v: %s is %s: %s", c.all, name, s.State, s.Reason)
			}
		}
		found := checks(t, got["sbom"])
		if found["of them are those that the lock names, by their digests"] != c.count || found["of them are attached to the images, as they are published"] != c.attached {
			t.Errorf("all %v: %v", c.all, found)
		}
		for _, o := range got["sbom"].Outputs {
			if o.Name != "documents" || o.Size == 0 {
				t.Errorf("all %v: %+v", c.all, o)
			}
		}
	}
}

func TestADocumentThatTheLockDoesNotNameIsRefused(t *testing.T) {
	other := "sha256:" + strings.Repeat("a", 64)
	cache, keys := t.TempDir(), t.TempDir()
	got := ran(t, proved(t, Config{Keys: keys}, func(l *lock.Lock) {
		for i := range l.Images[0].Platforms {
			l.Images[0].Platforms[i].Evidence.SPDX = other
		}
	}), cache)["sbom"]
	if got.State != pipeline.Failed || !strings.Contains(got.Reason, "spdx: the lock names "+other) {
		t.Errorf("another document: %s, %s", got.State, got.Reason)
	}
	got = ran(t, proved(t, Config{Keys: keys}, func(l *lock.Lock) {
		for i := range l.Images[0].Platforms {
			l.Images[0].Platforms[i].Evidence = lock.Evidence{}
		}
	}), cache)["sbom"]
	if got.State != pipeline.Unproven || !strings.Contains(got.Reason, "for 1 of 1 images") {
		t.Errorf("no document: %s, %s", got.State, got.Reason)
	}
}

func TestDocumentsHaveToBeAttachedToWhatIsPublished(t *testing.T) {
	c := smallest(t, Config{All: true, Keys: t.TempDir()})
	l, err := lock.Load(c.in("images.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	images, got := c.images(), error(nil)
	look := pipeline.Stage{Name: "look", Inputs: []pipeline.Input{pipeline.Output("images", "layout")}, Run: func(ctx context.Context, s *pipeline.Step) error {
		layout := filepath.Join(s.Scratch(), "layout")
		if err := os.CopyFS(layout, os.DirFS(s.In("images", "layout"))); err != nil {
			return err
		}
		img := &l.Images[0]
		p := img.Platforms[0]
		if err := attachedTo(ctx, layout, img, &p); err != nil {
			return err
		}
		p.Evidence.CycloneDX = p.Evidence.SPDX
		if err := attachedTo(ctx, layout, img, &p); err == nil || !strings.Contains(err.Error(), "which the lock names") {
			return errors.New("another document was taken for the one that the lock names")
		}
		if err := os.WriteFile(filepath.Join(layout, "index.json"), []byte(`{"schemaVersion":2,"manifests":[]}`), 0o644); err != nil {
			return err
		}
		got = attachedTo(ctx, layout, img, &img.Platforms[0])
		return nil
	}}
	g, err := pipeline.NewGraph(images, look)
	if err != nil {
		t.Fatal(err)
	}
	if s := ran(t, g, t.TempDir())["look"]; s.State != pipeline.Done {
		t.Errorf("look is %s: %s", s.State, s.Reason)
	}
	if got == nil || !strings.Contains(got.Error(), "has 0 documents") {
		t.Errorf("without a list of referrers: %v", got)
	}
}
