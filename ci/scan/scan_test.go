package scan

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vulnerability is one entry of a test's database.
type vulnerability struct{ id, module, pkg, symbol, fixed string }

// database writes a database in the official format.
func database(t *testing.T, all ...vulnerability) string {
	t.Helper()
	dir := t.TempDir()
	const day = "2026-11-01T00:00:00Z"
	type object = map[string]any
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	modules := map[string][]object{}
	for _, v := range all {
		modules[v.module] = append(modules[v.module], object{"id": v.id, "modified": day, "fixed": v.fixed})
		write("ID/"+v.id+".json", object{
			"schema_version": "1.3.1", "id": v.id, "modified": day, "published": day, "aliases": []string{"CVE-2026-1"}, "summary": "It is " + v.symbol,
			"affected": []object{{
				"package":            object{"name": v.module, "ecosystem": "Go"},
				"ranges":             []object{{"type": "SEMVER", "events": []object{{"introduced": "0"}, {"fixed": v.fixed}}}},
				"ecosystem_specific": object{"imports": []object{{"path": v.pkg, "symbols": []string{v.symbol}}}},
			}},
		})
	}
	var index []object
	for path, vulns := range modules {
		index = append(index, object{"path": path, "vulns": vulns})
	}
	write("index/modules.json", index)
	write("index/db.json", object{"modified": day})
	return dir
}

// run is a Runner without a log.
func run(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

func quiet(int, string) {}

func TestAVulnerabilityInAProgramIsFoundAndLivedWithUntilItsDay(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles govulncheck; not in short mode")
	}
	bin := t.TempDir()
	if err := Build(t.Context(), run, "govulncheck", filepath.Join(bin, "govulncheck")); err != nil {
		t.Fatal(err)
	}
	program, stripped := filepath.Join(bin, "program"), filepath.Join(bin, "stripped")
	for to, flags := range map[string]string{program: "", stripped: "-s -w"} {
		if err := run(t.Context(), os.Stderr, "go", "build", "-trimpath", "-ldflags="+flags, "-o", to, "./testdata/program"); err != nil {
			t.Fatal(err)
		}
	}
	const term = "golang.org/x/term"
	source := database(t,
		vulnerability{"GO-2026-9001", term, term, "IsTerminal", "99.0.0"},
		vulnerability{"GO-2026-9002", term, term, "ReadPassword", "99.0.0"},
		vulnerability{"GO-2026-9003", term, term, "IsTerminal", "0.1.0"},
		vulnerability{"GO-2026-9004", "golang.org/x/none", "golang.org/x/none", "F", "9.0.0"},
	)
	db, err := Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if db.Modules != 2 || !strings.HasPrefix(db.URL, "file:///") || db.Modified.IsZero() {
		t.Errorf("the database is %+v", db)
	}
	found, err := Scan(t.Context(), run, filepath.Join(bin, "govulncheck"), db, []Program{{"tool", program}, {"tool", program}, {"other", program}}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var linked []string
	for _, f := range found {
		if f.Level == Linked {
			linked = append(linked, f.ID+" "+f.Component+" "+strings.Join(f.Symbols, ","))
			if f.Module != term || f.Fixed != "v99.0.0" || f.Summary != "It is IsTerminal" || len(f.Aliases) != 1 {
				t.Errorf("%+v", f)
			}
		} else if f.ID != "GO-2026-9002" {
			t.Errorf("found %+v", f)
		}
	}
	if got := strings.Join(linked, "; "); got != "GO-2026-9001 other golang.org/x/term.IsTerminal; GO-2026-9001 tool golang.org/x/term.IsTerminal" {
		t.Errorf("linked: %s", got)
	}
	accepted := []Acceptance{
		{"GO-2026-9001", "tool", "nobody reaches it", "2027-01-31"},
		{"GO-2026-9001", "other", "nobody reaches it", "2027-01-31"},
	}
	scanned := []string{"tool", "other"}
	day := time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)
	if j := Judge(found, accepted, scanned, day); j.Err() != nil || len(j.Accepted) != 2 {
		t.Errorf("on the last day: %v", j.Err())
	}
	j := Judge(found, accepted, scanned, day.Add(time.Minute))
	if err := j.Err(); len(j.Open) != 2 || len(j.Expired) != 2 || err == nil || !strings.Contains(err.Error(), "was accepted until 2027-01-31") || !strings.Contains(err.Error(), "fixed in v99.0.0") {
		t.Errorf("the day after: %v", err)
	}
	if j := Judge(found, accepted[:1], scanned, day); len(j.Open) != 1 || j.Open[0].Component != "other" {
		t.Errorf("with one of them: %v", j.Err())
	}
	more := append(accepted, Acceptance{"GO-2026-9009", "tool", "gone", "2027-01-31"}, Acceptance{"GO-2026-9009", "elsewhere", "not here", "2027-01-31"})
	if j := Judge(found, more, scanned, day); len(j.Unused) != 1 || j.Unused[0].Component != "tool" || j.Err() == nil {
		t.Errorf("with one that nothing is for: %v", j.Err())
	}
	// A program without symbols may have all of a module in it.
	bare, err := Scan(t.Context(), run, filepath.Join(bin, "govulncheck"), db, []Program{{"tool", stripped}}, quiet)
	if err != nil || len(bare) != 2 || bare[0].Level != Linked || bare[1].ID != "GO-2026-9002" || bare[1].Level != Linked {
		t.Errorf("without symbols: %+v, %v", bare, err)
	}
	if _, err := Scan(t.Context(), run, filepath.Join(bin, "govulncheck"), db, []Program{{"text", "scan_test.go"}}, quiet); err == nil || !strings.Contains(err.Error(), "scan text") {
		t.Errorf("what is no program: %v", err)
	}
}

func TestWhatIsNoDatabaseIsNotScannedWith(t *testing.T) {
	refused := func(source, want string) {
		t.Helper()
		if _, err := Open(t.Context(), source); !errors.Is(err, ErrNoDatabase) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", source, err)
		}
	}
	refused(t.TempDir(), "no such file")
	refused(filepath.Join(t.TempDir(), "none"), "no such file")
	refused("ftp://example.org/", "neither a directory nor")
	refused(database(t), "empty index")
	broken := database(t, vulnerability{"GO-2026-1", "m", "m", "F", "1.0.0"})
	if err := os.WriteFile(filepath.Join(broken, "index/modules.json"), []byte(`[{"path":"m"`), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(broken, "modules.json")
	server := httptest.NewServer(http.NotFoundHandler())
	refused(server.URL, "404")
	server.Close()
	refused(server.URL, "refused")
	good := httptest.NewServer(http.FileServer(http.Dir(database(t, vulnerability{"GO-2026-1", "m", "m", "F", "1.0.0"}))))
	defer good.Close()
	if db, err := Open(t.Context(), good.URL+"/"); err != nil || db.URL != good.URL {
		t.Errorf("over HTTP: %+v, %v", db, err)
	}
}

func TestAStreamThatSaysNothingIsNotClean(t *testing.T) {
	const config = `{"config":{"protocol_version":"v1.0.0","scan_mode":"binary"}}`
	for text, want := range map[string]string{
		"":                                      "has said nothing",
		`{"progress":{}}`:                       "has said nothing",
		config + `{"finding"`:                   "read govulncheck's findings",
		config + `{"finding":{"osv":"GO-1-1"}}`: "without an id or a place",
		`{"config":{"protocol_version":"v2.0.0","scan_mode":"binary"}}`: `protocol "v2.0.0"`,
		`{"config":{"protocol_version":"v1.0.0","scan_mode":"source"}}`: `mode "source"`,
	} {
		if _, err := parse("c", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if found, err := parse("c", strings.NewReader(config)); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestAListOfAcceptedFindingsIsReadStrictly(t *testing.T) {
	const head = "schema: slipway.build/accepted/v1\n"
	entry := func(id, component, reason, until string) string {
		return "- {id: " + id + ", component: " + component + ", reason: " + reason + ", until: " + until + "}\n"
	}
	good := entry("GO-2026-1234", "etcd", "unreachable", `"2027-01-31"`)
	if all, err := parseAccepted("f", []byte(head+"accepted:\n"+good)); err != nil || len(all) != 1 || all[0].Until != "2027-01-31" {
		t.Fatalf("%+v, %v", all, err)
	}
	for text, want := range map[string]string{
		"":                                  "f: EOF",
		"schema: other\n":                   `schema: "other"`,
		head + "extra: 1\n":                 "line 2: field extra not found",
		head + "accepted:\n- {id: X, a: 1}": "line 3: field a not found",
		head + "accepted:\n" + good + good:  "accepted[1].id: GO-2026-1234 of etcd is there twice",
		head + "accepted:\n" + entry("go-1", "etcd", "r", `"2027-01-31"`):        "accepted[0].id",
		head + "accepted:\n" + entry("GO-2026-1", `""`, "r", `"2027-01-31"`):     "accepted[0].component",
		head + "accepted:\n" + entry("GO-2026-1", "etcd", `" "`, `"2027-01-31"`): "accepted[0].reason",
		head + "accepted:\n" + entry("GO-2026-1", "etcd", "r", `"some day"`):     "accepted[0].until",
		head + "---\n" + head: "more than one document",
	} {
		if _, err := parseAccepted("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if all, err := ReadAccepted(filepath.Join(t.TempDir(), "none.yaml")); err != nil || len(all) != 0 {
		t.Errorf("without a list: %v, %v", all, err)
	}
	if _, err := ReadAccepted("../accepted.yaml"); err != nil {
		t.Errorf("the committed list: %v", err)
	}
}

func TestMakefileAndModulePinTheSameScanner(t *testing.T) {
	for file, want := range map[string]string{
		"../../Makefile":     "GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@" + Version + "\n",
		"govulncheck/go.mod": "require golang.org/x/vuln " + Version + "\n",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", file, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"config":{"protocol_version":"v1.0.0","scan_mode":"binary"}}{"finding":{"osv":"GO-1","trace":[{"module":"m","package":"p","function":"f"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parse("c", strings.NewReader(string(text)))
		if err == nil && len(found) > 0 && found[0].ID == "" {
			t.Errorf("%+v", found)
		}
	})
}

func FuzzAccepted(f *testing.F) {
	f.Add([]byte("schema: slipway.build/accepted/v1\naccepted:\n- {id: GO-2026-1, component: c, reason: r, until: \"2027-01-31\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseAccepted("f", text)
		for _, a := range all {
			if err == nil && a.Reason == "" {
				t.Errorf("%+v", a)
			}
		}
	})
}
