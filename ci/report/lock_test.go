package report

import (
	"encoding/json"
	"strings"
	"testing"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// judged is a run whose lock breaks two rules, one of them twice, with one finding that is accepted.
func judged(t *testing.T, findings ...release.Finding) *Report {
	t.Helper()
	accepted := lock.Acceptance{Rule: "support", Image: "kubelet", Reason: hostile, Until: "2027-01-31"}
	fact := Lock{From: 3, Report: release.Report{Number: 4, Digest: digest("4"), Rules: []string{"support", "unresolved"}, Findings: findings,
		Accepted: []release.Finding{{Rule: "support", Image: "kubelet@v1.34.4", Field: "supported", Problem: "upstream's support ended", Accepted: &accepted}}}}
	state, reason := pipeline.Done, ""
	if err := fact.Err(); err != nil {
		state, reason = pipeline.Failed, err.Error()
	}
	return made(t, &pipeline.Result{Stages: []pipeline.StageResult{{Name: "lint-lock", State: state, Reason: reason, Facts: facts(t, map[string]any{LockFact: fact})}}})
}

func page(t *testing.T, r *Report) string {
	t.Helper()
	text, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFindingsAboutTheLockAreInTheReportByTheirRules(t *testing.T) {
	r := judged(t,
		release.Finding{Rule: "unresolved", Image: "etcd@v3.6.16", Field: "unresolved", Problem: "not built yet", Remedy: "build it"},
		release.Finding{Rule: "unresolved", Image: "pause@v1.0.0", Field: "unresolved", Problem: hostile, Remedy: "build it"},
		release.Finding{Rule: "acceptance", Field: "accepted[1]", Problem: "there is no rule", Remedy: "take it out of the lock"})
	broken := r.Lock.Broken()
	if len(broken) != 2 || len(broken[0].Findings) != 2 || broken[0].About != "every image has digests" || broken[1].About == "" {
		t.Errorf("by rules: %+v", broken)
	}
	if r.Outcome != Failed || !strings.Contains(r.Causes[0].Reason, "3 findings; the first: unresolved: etcd@v3.6.16") {
		t.Errorf("%s: %+v", r.Outcome, r.Causes)
	}
	text := page(t, r)
	for _, want := range []string{"3 findings</b>", "1 accepted", "<b>etcd@v3.6.16</b>", "until 2027-01-31: &lt;script&gt;", "the step to it from number 3 too"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "Nothing is held against it") {
		t.Error("the page has markup from elsewhere, or says that all is well")
	}
	raw, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Lock struct {
			Number   int64
			Findings []struct{ Rule, Image string }
			Accepted []struct{ Accepted lock.Acceptance }
		}
	}
	if err := json.Unmarshal(raw, &back); err != nil || back.Lock.Number != 4 || len(back.Lock.Findings) != 3 || back.Lock.Accepted[0].Accepted.Until != "2027-01-31" {
		t.Errorf("the JSON: %+v, %v", back, err)
	}
}

func TestALockThatHoldsAndOneThatWasNotLookedAtAreToldApart(t *testing.T) {
	if text := page(t, judged(t)); !strings.Contains(text, "Nothing is held against it") || !strings.Contains(text, "all hold, 1 accepted") {
		t.Error("a lock that holds does not say so")
	}
	text := page(t, made(t, &pipeline.Result{Stages: []pipeline.StageResult{{Name: "a", State: pipeline.Done}}}))
	if strings.Contains(text, "Nothing is held against it") || strings.Contains(text, "all hold") || !strings.Contains(text, "rules of locks were not looked at") {
		t.Error("what was not looked at is said to hold")
	}
}
