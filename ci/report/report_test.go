package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/scan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is what a test may be called by somebody who means harm.
const hostile = `<script>alert("x")</script>'"&`

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func facts(t *testing.T, all map[string]any) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	for name, v := range all {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = text
	}
	return out
}

// broken is a run in which a test has failed and nothing could be scanned.
func broken(t *testing.T) *pipeline.Result {
	began := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	stage := func(name, title string, state pipeline.State, seconds float64, after ...string) pipeline.StageResult {
		return pipeline.StageResult{Name: name, Title: title, Version: 1, State: state, Seconds: seconds, After: after, Began: began, Log: name + ".log"}
	}
	programs := stage("programs", "Build slipway, slipwayd and what goes on nodes", pipeline.Cached, 24)
	programs.Facts = facts(t, map[string]any{ArtifactsFact: []Artifact{{Kind: "program", Name: "slipwayd", Platform: "linux/amd64", Source: "slipway.build/slipway/cmd/slipwayd", Toolchain: "go1.26.7", Digest: digest("a"), Size: 31 << 20}}})
	images := stage("images", "Build the component images", pipeline.Done, 1204.4)
	images.Inputs = []pipeline.InputDigest{{Name: "imagebuild", Digest: digest("1")}, {Name: "images", Digest: digest("2"), Text: "[]"}}
	images.Outputs = []pipeline.OutputDigest{{Name: "layout", Digest: digest("3"), Size: 187 << 20}}
	images.Facts = facts(t, map[string]any{ArtifactsFact: []Artifact{
		{Kind: "image", Name: "etcd", Version: "v3.6.16", Platform: "linux/amd64", Source: "go.etcd.io/etcd/server/v3@v3.6.16", Sum: "h1:8oU6WsIsU3bpnNZuvHp74a6cE1MJwbj2P7s4/yTUNlA=", Toolchain: "go1.26.7", Digest: digest("b"), Size: 9_712_345},
		{Kind: "image", Name: "coredns", Version: "v1.15.0", Platform: "linux/amd64", Source: "github.com/coredns/coredns@v1.15.0", Sum: "h1:2ZQ9m0K1d0kq3rTn0S0mWnWcN1bXHq0Zk9Yxq2mI1sE=", Toolchain: "go1.26.7", Digest: digest("c"), Size: 17_000_000},
		{Kind: "image", Name: "pause", Version: "v1.0.0", Platform: "linux/amd64", Source: "slipway.build/pause@v1.0.0", Digest: digest("d"), Size: 312_000},
		{Kind: "image", Name: "cni", Version: "v1.9.1", Platform: "linux/amd64", Source: "github.com/containernetworking/plugins@v1.9.1", Digest: digest("e"), Size: 5_491_563},
	}})
	gate := stage("gate", "Look into every image: static programs of the sources that the lock names, and nothing else", pipeline.Done, 10.3, "images")
	gate.Facts = facts(t, map[string]any{ChecksFact: []Check{{What: "programs in images are static, of the locked toolchain and of the modules and sums in the lock", Detail: "15"}}})
	sign := stage("sign", "Sign the lock, and prove every blob against it", pipeline.Done, 9.5, "gate", "images")
	sign.Facts = facts(t, map[string]any{SignatureFact: Signature{Lock: digest("f"), Number: 7, Key: digest("5"), Kind: "local"}})
	scanned := stage("scan", "Look for known vulnerabilities in every program that is shipped", pipeline.Unproven, 0, "images", "programs")
	scanned.Reason = `not scanned: no vulnerability database: https://vuln.go.dev: index/db.json: no such host`
	boot := stage("boot", "Boot a master and a worker from exactly these images, and compare what runs with the lock", pipeline.Done, 71, "gate", "images", "programs", "sign")
	e2e := stage("e2e", "Run the end-to-end tests against that cluster", pipeline.Failed, 143.7, "boot", "images", "programs")
	e2e.Reason = "1 of 17 tests failed, " + hostile + " among them"
	e2e.Facts = facts(t, map[string]any{TestsFact: Tests{Suite: "end to end", Passed: 16, Failed: 1, Skipped: 1, Cases: []Case{
		{Name: hostile, State: "failed", Reason: "cluster_test.go:64: " + hostile + "\nsecond line"},
		{Name: "TestACluster/another", State: "skipped", Reason: "there is one node only"},
	}}})
	conformance := stage("conformance", "Run some of Kubernetes' own conformance tests against that cluster", pipeline.Done, 95, "boot", "images")
	conformance.Facts = facts(t, map[string]any{TestsFact: Tests{Suite: "conformance of Kubernetes v1.36.3, a focus", Wanted: 12, Passed: 11, Expected: 1, Cases: []Case{
		{Name: "[sig-network] Services should serve endpoints", State: "expected", Reason: "timed out", Expected: "until Calico is in"},
	}}})
	publish := stage("publish", "Publish what was built, as all of it held", pipeline.Blocked, 0, "boot", "conformance", "e2e", "images", "scan", "sign")
	publish.Root, publish.Reason, publish.Began, publish.Log = "e2e", "e2e has not held", time.Time{}, ""
	return &pipeline.Result{Began: began, Seconds: 1620.5, Stages: []pipeline.StageResult{programs, images, gate, sign, scanned, boot, e2e, conformance, publish}}
}

// before is what the run's artifacts are compared with.
func before() []Artifact {
	return []Artifact{
		{Kind: "program", Name: "slipwayd", Platform: "linux/amd64", Digest: digest("0"), Size: 30 << 20},
		{Kind: "image", Name: "etcd", Version: "v3.6.15", Platform: "linux/amd64", Digest: digest("9"), Size: 10_000_000},
		{Kind: "image", Name: "coredns", Version: "v1.15.0", Platform: "linux/amd64", Digest: digest("c"), Size: 17_000_000},
		{Kind: "image", Name: "pause", Version: "v1.0.0", Platform: "linux/amd64", Digest: digest("8"), Size: 312_000},
	}
}

func log(path string) string { return "+ go test -json ./test/e2e\n" + path + ": " + hostile }

func made(t *testing.T, r *pipeline.Result) *Report {
	t.Helper()
	out, err := New(r, before(), log)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheJSONIsAsTheGoldenFile(t *testing.T) {
	text, err := made(t, broken(t)).JSON()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/report.json"
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(want) {
		t.Errorf("it is not as %s; with -update the file is written anew. Got:\n%s", golden, text)
	}
}

func TestNothingFromElsewhereIsMarkupInThePage(t *testing.T) {
	page, err := made(t, broken(t)).HTML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if strings.Contains(text, "<script") || strings.Count(text, "&lt;script&gt;") < 4 {
		t.Errorf("the name of a test is in the page as it is")
	}
	for _, m := range regexp.MustCompile(`(?:src|href|url|srcset|action|data)\s*[=(]\s*["']?([^"')\s>]+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "#") {
			t.Errorf("the page needs %q, which is not in it", m[0])
		}
	}
	if strings.Contains(text, "@import") || strings.Contains(text, "<link") || strings.Contains(text, "ZgotmplZ") {
		t.Error("the page needs something else, or a value was refused")
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if ids[m[1]] {
			t.Errorf("two elements have the id %q", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !ids[m[1]] {
			t.Errorf("a link goes to %q, which is not there", m[1])
		}
	}
}

func TestTheCauseComesFirst(t *testing.T) {
	r := made(t, broken(t))
	if r.Outcome != Failed || len(r.Causes) != 2 || r.Causes[0].Stage != "e2e" || strings.Join(r.Causes[0].Stopped, " ") != "publish" {
		t.Errorf("outcome %s, causes %+v", r.Outcome, r.Causes)
	}
	if r.Title() != "e2e failed" {
		t.Errorf("title %q", r.Title())
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	why, stages := strings.Index(string(page), `id="causes-h"`), strings.Index(string(page), `id="stages-h"`)
	if why < 0 || stages < why {
		t.Error("the page does not begin with the cause")
	}
}

func TestWhatWasNotScannedIsNeverCalledClean(t *testing.T) {
	for name, change := range map[string]func(*pipeline.Result){
		"unproven": func(*pipeline.Result) {},
		"failed":   func(r *pipeline.Result) { r.Stages[4].State = pipeline.Failed },
		"absent":   func(r *pipeline.Result) { r.Stages = append(r.Stages[:4:4], r.Stages[5:]...) },
	} {
		result := broken(t)
		change(result)
		r := made(t, result)
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		if r.Scan != nil || !strings.HasPrefix(r.Unscanned, "not scanned: ") || strings.Contains(string(page), "none open") || !strings.Contains(string(page), "not scanned") {
			t.Errorf("%s: %q", name, r.Unscanned)
		}
	}
	result := broken(t)
	result.Stages[4].State, result.Stages[4].Reason = pipeline.Done, ""
	result.Stages[4].Facts = facts(t, map[string]any{ScanFact: Scan{Database: scan.Database{URL: "file:///db", Modules: 2}, Scanner: "govulncheck", Programs: 20}})
	page, err := made(t, result).HTML()
	if err != nil || !strings.Contains(string(page), "none open") || strings.Contains(string(page), "not scanned") {
		t.Errorf("after a scan: %v", err)
	}
}

func TestOutcomesAndTitles(t *testing.T) {
	stage := func(state pipeline.State) pipeline.StageResult {
		return pipeline.StageResult{Name: "a", State: state}
	}
	for _, c := range []struct {
		states []pipeline.State
		want   Outcome
		title  string
	}{
		{[]pipeline.State{pipeline.Done, pipeline.Cached}, Held, "All 2 stages held"},
		{[]pipeline.State{pipeline.Done, pipeline.Unproven}, Unproven, "Nothing failed, a is unproven"},
		{[]pipeline.State{pipeline.Unproven, pipeline.Failed, pipeline.Blocked}, Failed, "a failed"},
		{[]pipeline.State{pipeline.Failed, pipeline.Failed}, Failed, "2 stages failed"},
		{nil, Unproven, "Nothing was run"},
	} {
		r := &pipeline.Result{}
		for _, s := range c.states {
			r.Stages = append(r.Stages, stage(s))
		}
		if got := made(t, r); got.Outcome != c.want || got.Title() != c.title {
			t.Errorf("%v: %s, %q", c.states, got.Outcome, got.Title())
		}
	}
}

func TestSizesAreComparedWithThoseOfBefore(t *testing.T) {
	got := map[string]string{}
	r := made(t, broken(t))
	for _, b := range r.Built {
		got[b.Name] = change(b)
	}
	for name, want := range map[string]string{"slipwayd": "+1.0 MiB (+3.3 %)", "etcd": "−280.9 KiB (−2.9 %) since v3.6.15", "coredns": "the same", "pause": "other bytes, same size", "cni": "new"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	dir := t.TempDir()
	if all, err := Baseline(dir, ""); err != nil || all != nil {
		t.Errorf("without a report: %v, %v", all, err)
	}
	if _, err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	if all, err := Baseline(dir, ""); err != nil || len(all) != len(r.Built) || all[1].Name != "etcd" {
		t.Errorf("the report of before: %+v, %v", all, err)
	}
	if all, err := Baseline(dir, "../../images.yaml"); err != nil || len(all) == 0 || all[0].Kind != "image" {
		t.Errorf("the lock: %+v, %v", all, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if all, err := Baseline(dir, ""); err != nil || all != nil {
		t.Errorf("a report that cannot be read: %v, %v", all, err)
	}
	if _, err := Baseline(dir, filepath.Join(dir, "report.json")); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("one that was asked for: %v", err)
	}
}

func TestTheEndOfALogIsWholeLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(strings.Repeat("a line é\n", 2000)+"the end \xff"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := Tail(file)
	if !strings.HasPrefix(got, "a line é\n") || !strings.HasSuffix(got, "the end �") || len(got) > logBytes+8 {
		t.Errorf("%d bytes: %.30q … %q", len(got), got, got[len(got)-20:])
	}
	if Tail(file+".none") != "" {
		t.Error("a log that is not there has an end")
	}
}
