package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"slipway.build/slipway/ci/pipeline"
)

// Schema is the schema identifier of reports.
const Schema = "slipway.build/ci-report/v1"

// Outcome is what a run came to.
type Outcome string

// The outcomes of runs.
const (
	Held     Outcome = "held"     // every stage has shown what it is there to show
	Unproven Outcome = "unproven" // nothing failed, and something could not be done here
	Failed   Outcome = "failed"
)

// Report is how one run went.
type Report struct {
	Schema  string    `json:"schema"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Outcome Outcome   `json:"outcome"`
	// Causes are the stages that failed by themselves, not what only depends on them.
	Causes    []Cause    `json:"causes"`
	Built     []Built    `json:"built"`
	Tests     []Tests    `json:"tests"`
	Scan      *Scan      `json:"scan"`                // null where nothing was scanned
	Unscanned string     `json:"unscanned,omitempty"` // why nothing was
	Lock      *Lock      `json:"lock"`                // null where its rules were not looked at
	Signature *Signature `json:"signature"`
	Published *Published `json:"published"`
	Stages    []Stage    `json:"stages"`
}

// Cause is a stage that failed or could not be done, with what it stopped.
type Cause struct {
	Stage   string         `json:"stage"`
	State   pipeline.State `json:"state"`
	Reason  string         `json:"reason"`
	Stopped []string       `json:"stopped,omitempty"`
	Log     string         `json:"log,omitempty"` // its last lines
}

// Built is one thing that was built, beside what it was before.
type Built struct {
	Artifact
	Before *Before `json:"before,omitempty"` // nil where there is nothing to compare with
}

// Before is what the last report, or a lock, says of the same thing.
type Before struct {
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest"`
	Size    int64  `json:"size"`
}

// Stage is one stage of the run.
type Stage struct {
	Name    string                  `json:"name"`
	Title   string                  `json:"title"`
	State   pipeline.State          `json:"state"`
	Reason  string                  `json:"reason,omitempty"`
	Cause   string                  `json:"cause,omitempty"` // the stage that stopped it
	After   []string                `json:"after,omitempty"`
	Began   time.Time               `json:"began,omitzero"`
	Seconds float64                 `json:"seconds"` // of the run that made the result, which may be an earlier one
	Checks  []Check                 `json:"checks,omitempty"`
	Inputs  []pipeline.InputDigest  `json:"inputs,omitempty"`
	Outputs []pipeline.OutputDigest `json:"outputs,omitempty"`
	Log     string                  `json:"log,omitempty"`
}

// New makes the report of a run. before are the artifacts to compare with; log returns the last
// lines of a log file.
func New(r *pipeline.Result, before []Artifact, log func(path string) string) (*Report, error) {
	out := &Report{Schema: Schema, Began: r.Began, Seconds: r.Seconds, Outcome: Held, Causes: []Cause{}, Built: []Built{}, Tests: []Tests{}, Stages: []Stage{}}
	for i := range r.Stages {
		s := &r.Stages[i]
		stage := Stage{Name: s.Name, Title: s.Title, State: s.State, Reason: s.Reason, Cause: s.Root, After: s.After, Began: s.Began,
			Seconds: s.Seconds, Inputs: s.Inputs, Outputs: s.Outputs, Log: s.Log}
		if err := out.take(s, &stage, before); err != nil {
			return nil, err
		}
		out.Stages = append(out.Stages, stage)
		if s.State == pipeline.Failed || s.State == pipeline.Unproven {
			out.Causes = append(out.Causes, cause(r, s, log))
		}
	}
	slices.SortStableFunc(out.Causes, func(a, b Cause) int { return rank(a.State) - rank(b.State) })
	switch {
	case len(out.Causes) > 0 && out.Causes[0].State == pipeline.Failed:
		out.Outcome = Failed
	case !r.Held():
		out.Outcome = Unproven
	}
	if out.Scan == nil && out.Unscanned == "" {
		out.Unscanned = "not scanned: the scan was not part of this run"
	}
	return out, nil
}

func rank(s pipeline.State) int {
	if s == pipeline.Failed {
		return 0
	}
	return 1
}

// take puts a stage's facts where they belong.
func (r *Report) take(s *pipeline.StageResult, stage *Stage, before []Artifact) error {
	var artifacts []Artifact
	var tests Tests
	var scan Scan
	var signature Signature
	var published Published
	var lock Lock
	for _, f := range []struct {
		name string
		into any
		add  func()
	}{
		{ArtifactsFact, &artifacts, func() {
			for _, a := range artifacts {
				r.Built = append(r.Built, Built{a, find(a, before)})
			}
		}},
		{TestsFact, &tests, func() { r.Tests = append(r.Tests, tests) }},
		{ScanFact, &scan, func() { r.Scan = &scan }},
		{SignatureFact, &signature, func() { r.Signature = &signature }},
		{PublishedFact, &published, func() { r.Published = &published }},
		{LockFact, &lock, func() { r.Lock = &lock }},
		{ChecksFact, &stage.Checks, func() {}},
	} {
		there, err := s.Fact(f.name, f.into)
		if err != nil {
			return err
		}
		if there {
			f.add()
		}
	}
	if s.Name == "scan" && !s.State.Held() && s.Facts[ScanFact] == nil {
		r.Unscanned = "not scanned: " + trimmed(s.Reason)
	}
	return nil
}

func trimmed(reason string) string {
	const prefix = "not scanned: "
	if len(reason) > len(prefix) && reason[:len(prefix)] == prefix {
		return reason[len(prefix):]
	}
	return reason
}

// find returns what an artifact was before: the same version of it, or the only other one.
func find(a Artifact, before []Artifact) *Before {
	var others []Artifact
	for _, b := range before {
		if b.Kind != a.Kind || b.Name != a.Name || b.Platform != a.Platform {
			continue
		}
		if b.Version == a.Version {
			return &Before{b.Version, b.Digest, b.Size}
		}
		others = append(others, b)
	}
	if len(others) == 1 {
		return &Before{others[0].Version, others[0].Digest, others[0].Size}
	}
	return nil
}

func cause(r *pipeline.Result, s *pipeline.StageResult, log func(string) string) Cause {
	c := Cause{Stage: s.Name, State: s.State, Reason: s.Reason, Log: log(s.Log)}
	for _, o := range r.Stages {
		if o.State == pipeline.Blocked && o.Root == s.Name {
			c.Stopped = append(c.Stopped, o.Name)
		}
	}
	return c
}

// JSON returns the report's text.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return b.Bytes(), err
}

// Read reads a report, for what it says of the artifacts.
func Read(file string) (*Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the report of before: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: schema: %q is not %q", file, r.Schema, Schema)
	}
	return r, nil
}

// Artifacts are what the report says was built.
func (r *Report) Artifacts() []Artifact {
	var all []Artifact
	for _, b := range r.Built {
		all = append(all, b.Artifact)
	}
	return all
}

// logBytes is how much of a log a report shows.
const logBytes = 6000

// Tail returns the last lines of a log file; empty for one that cannot be read.
func Tail(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size <= logBytes {
		_, _ = f.Seek(0, io.SeekStart)
	} else {
		_, _ = f.Seek(-logBytes, io.SeekEnd)
	}
	text, err := io.ReadAll(io.LimitReader(f, logBytes))
	if err != nil {
		return ""
	}
	if len(text) == logBytes {
		if _, rest, cut := bytes.Cut(text, []byte{'\n'}); cut {
			text = rest
		}
	}
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("�"))
	}
	return string(bytes.TrimSpace(text))
}
