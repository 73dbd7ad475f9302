package release

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

func TestNothingIsHeldAgainstASoundLock(t *testing.T) {
	s := subject(sound(t))
	s.From = lockOf(t, kubernetes("v1.34.4"), kubernetes("v1.35.4"), one("etcd", "v3.5.24"))
	s.From.Number = 6
	report, err := Check(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Error(f)
	}
	if !report.Good() || len(report.Rules) != len(Rules())+1 || report.Number != 7 {
		t.Errorf("%+v", report)
	}
}

func TestEveryRuleSaysWhatItWants(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if r.Name == "" || r.About == "" || seen[r.Name] || strings.ContainsAny(r.Name, " \t") {
			t.Errorf("%+v", r)
		}
		seen[r.Name] = true
	}
}

func TestAcceptancesSilenceWhatTheyName(t *testing.T) {
	const reason = "tried with 1.36.3"
	for name, tt := range map[string]struct {
		acceptance     lock.Acceptance
		found, settled int
		want           string // of the finding about acceptances
	}{
		"by name and version":          {lock.Acceptance{Rule: "calico", Image: "calico-node@v3.28.5", Reason: reason, Until: "2027-01-31"}, 0, 1, ""},
		"by name, on the last day":     {lock.Acceptance{Rule: "calico", Image: "calico-node", Reason: reason, Until: "2026-11-22"}, 0, 1, ""},
		"of another version":           {lock.Acceptance{Rule: "calico", Image: "calico-node@v3.28.4", Reason: reason, Until: "2027-01-31"}, 1, 0, "nothing is found"},
		"after its last day":           {lock.Acceptance{Rule: "calico", Image: "calico-node", Reason: reason, Until: "2026-11-21"}, 1, 0, "ended with 2026-11-21"},
		"of a rule that does not bend": {lock.Acceptance{Rule: "signed", Image: "calico-node", Reason: reason, Until: "2027-01-31"}, 1, 0, "cannot be accepted"},
		"of a rule that is not there":  {lock.Acceptance{Rule: "signet", Image: "calico-node", Reason: reason, Until: "2027-01-31"}, 1, 0, `no rule "signet"`},
		"of another rule":              {lock.Acceptance{Rule: "support", Image: "calico-node", Reason: reason, Until: "2027-01-31"}, 1, 0, "nothing is found"},
	} {
		t.Run(name, func(t *testing.T) {
			l := lockOf(t, kubernetes("v1.36.3"), one("etcd", "v3.6.16", "1.36"), one("calico-node", "v3.28.5", "1.36"))
			l.Accepted = []lock.Acceptance{tt.acceptance}
			s := subject(l)
			expect(t, find(t, "calico", s), make([]string, tt.found)...)
			report, err := Check(s)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Accepted) != tt.settled {
				t.Errorf("accepted: %v", report.Accepted)
			}
			for _, f := range report.Accepted {
				if !strings.Contains(f.String(), reason) || !strings.Contains(f.String(), tt.acceptance.Until) {
					t.Errorf("an accepted finding hides its reason: %s", f)
				}
			}
			about := find(t, acceptanceRule, s)
			if tt.want == "" {
				expect(t, about)
			} else {
				expect(t, about, tt.want)
			}
		})
	}
}

func TestAcceptancesOfTheLockItselfDoNotCount(t *testing.T) {
	l := sound(t)
	l.Accepted = []lock.Acceptance{{Rule: "signed", Image: "lock", Reason: "trust me", Until: "2099-01-01"}, {Rule: "expired", Image: "lock", Reason: "still good", Until: "2099-01-01"}}
	s := subject(l)
	s.Signature, s.Now = Signature{Problem: "there is no signature"}, today.Add(48*time.Hour)
	expect(t, find(t, "signed", s), "no signature")
	expect(t, find(t, "expired", s), "ended at")
	expect(t, find(t, acceptanceRule, s), "cannot be accepted", "cannot be accepted")
}
