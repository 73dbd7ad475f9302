package stages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
)

// shipped are stages in the place of those that build: small programs of the test's own.
func shipped(t *testing.T) []pipeline.Stage {
	t.Helper()
	return []pipeline.Stage{
		{Name: "programs", Outputs: []string{"bin"}, Run: func(ctx context.Context, s *pipeline.Step) error {
			if err := os.MkdirAll(s.Out("bin"), 0o755); err != nil {
				return err
			}
			for _, name := range programNames {
				cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(s.Out("bin"), name), "../scan/testdata/program")
				if err := cmd.Run(); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "images", Outputs: []string{"built", "layout"}, Run: func(_ context.Context, s *pipeline.Step) error {
			content := program(t)
			l, dir := layered(t, "linux/amd64", content, pauseFile())
			l.Toolchain = goVersion(t)
			l.Issue(1, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), time.Hour)
			complete(l)
			text, err := l.YAML("a test's lock")
			if err != nil {
				return err
			}
			if err := os.WriteFile(s.Out("built"), text, 0o644); err != nil {
				return err
			}
			return os.CopyFS(s.Out("layout"), os.DirFS(dir))
		}},
	}
}

// database writes one vulnerability of golang.org/x/term in the official format.
func database(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index/db.json":      `{"modified":"2026-11-01T00:00:00Z"}`,
		"index/modules.json": `[{"path":"golang.org/x/term","vulns":[{"id":"GO-2026-9001","modified":"2026-11-01T00:00:00Z","fixed":"99.0.0"}]}]`,
		"ID/GO-2026-9001.json": `{"schema_version":"1.3.1","id":"GO-2026-9001","modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"It breaks",
"affected":[{"package":{"name":"golang.org/x/term","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"99.0.0"}]}],
"ecosystem_specific":{"imports":[{"path":"golang.org/x/term","symbols":["IsTerminal"]}]}}]}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAScanEndsAsWhatItFound(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles govulncheck; not in short mode")
	}
	root, cache, scanner := t.TempDir(), t.TempDir(), "../scan/govulncheck"
	if err := os.CopyFS(filepath.Join(root, "ci", "scan", "govulncheck"), os.DirFS(scanner)); err != nil {
		t.Fatal(err)
	}
	accept := func(until string) {
		text := "schema: slipway.build/accepted/v1\naccepted:\n"
		for _, name := range programNames {
			text += "- {id: GO-2026-9001, component: " + name + ", reason: nobody reaches it, until: \"" + until + "\"}\n"
		}
		if until == "" {
			text = "schema: slipway.build/accepted/v1\n"
		}
		if err := os.WriteFile(filepath.Join(root, "ci", "accepted.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	scanned := func(source string) pipeline.StageResult {
		t.Helper()
		c, err := Config{Root: root, Keys: "none", Database: source, Now: func() time.Time { return day }}.complete()
		if err != nil {
			t.Fatal(err)
		}
		g, err := pipeline.NewGraph(append(shipped(t), c.scan())...)
		if err != nil {
			t.Fatal(err)
		}
		all := ran(t, g, cache)
		for _, name := range []string{"programs", "images"} {
			if !all[name].State.Held() {
				t.Fatalf("%s: %s", name, all[name].Reason)
			}
		}
		return all["scan"]
	}
	accept("")
	if got := scanned(filepath.Join(root, "nothing")); got.State != pipeline.Unproven || !strings.HasPrefix(got.Reason, "not scanned: ") {
		t.Errorf("without a database: %s, %s", got.State, got.Reason)
	}
	db := database(t)
	got := scanned(db)
	var fact report.Scan
	if _, err := got.Fact(report.ScanFact, &fact); err != nil {
		t.Fatal(err)
	}
	if got.State != pipeline.Failed || len(fact.Open) != len(programNames) || fact.Programs != len(programNames)+1 {
		t.Errorf("with a vulnerability: %s, %s, %+v", got.State, got.Reason, fact)
	}
	accept("2026-11-22")
	if got := scanned(db); got.State != pipeline.Done {
		t.Errorf("accepted: %s, %s", got.State, got.Reason)
	}
	if got := scanned(db); got.State != pipeline.Cached {
		t.Errorf("on the same day: %s", got.State)
	}
	day = day.AddDate(0, 0, 1)
	if got := scanned(db); got.State != pipeline.Failed || !strings.Contains(got.Reason, "was accepted until 2026-11-22") {
		t.Errorf("the day after: %s, %s", got.State, got.Reason)
	}
}
