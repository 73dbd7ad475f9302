package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// Subject is what a lock is checked by.
type Subject struct {
	Lock *lock.Lock
	// From is the lock that clusters are on now; nil checks Lock by itself.
	From *lock.Lock
	// Now decides what has ended.
	Now time.Time
	// Signature is what is known of the lock's signature.
	Signature Signature
}

// Finding is one thing that is wrong with a lock.
type Finding struct {
	Rule string `json:"rule"`
	// Image is name@version, or the name where a finding is about all its versions; empty for one
	// about the whole lock.
	Image   string `json:"image,omitempty"`
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"` // what to do
	// Accepted is why the finding is not held against the lock, nil when it is.
	Accepted *lock.Acceptance `json:"accepted,omitempty"`
}

// String is the finding in one line.
func (f Finding) String() string {
	image := f.Image
	if image == "" {
		image = "the lock"
	}
	if f.Accepted != nil {
		return fmt.Sprintf("%s: %s: %s: %s; accepted until %s: %s", f.Rule, image, f.Field, f.Problem, f.Accepted.Until, f.Accepted.Reason)
	}
	return fmt.Sprintf("%s: %s: %s: %s; %s", f.Rule, image, f.Field, f.Problem, f.Remedy)
}

// Rule is one thing that a lock is checked for.
type Rule struct {
	Name   string `json:"name"`
	About  string `json:"about"`            // what holds when nothing is found
	Source string `json:"source,omitempty"` // where the fact is from that it stands on
	// Binding is true for rules whose findings no acceptance silences: a lock cannot say of itself that
	// it needs no signature.
	Binding bool `json:"binding,omitempty"`

	find func(*Subject) []Finding
}

// Rules returns all rules in the order in which a lock is checked by them.
func Rules() []Rule {
	return []Rule{
		formRule(), signatureRule(), expiryRule(), numberRule(),
		pinnedRule(), unresolvedRule(), builtRule(), evidenceRule(), supportRule(),
		completeRule(), apiServerRule(), kubeletRule(), kubeProxyRule(), kubectlRule(),
		etcdSeriesRule(), etcdStepRule(), autoscalerRule(), calicoRule(), openstackRule(),
	}
}

// acceptanceRule names the findings about acceptances themselves.
const acceptanceRule = "acceptance"

// Report is the outcome of a check.
type Report struct {
	Number   int64     `json:"number"`
	Digest   string    `json:"digest"`
	Findings []Finding `json:"findings"` // what is held against the lock
	Accepted []Finding `json:"accepted"` // what is known and lived with
	Rules    []string  `json:"rules"`    // what was looked at
}

// Good reports whether nothing is held against the lock.
func (r *Report) Good() bool { return len(r.Findings) == 0 }

// Check looks at a lock by all rules. Findings are in the order of Rules. An acceptance of the lock
// silences the findings of its rule about its image until the end of its last day (UTC); one that
// silences nothing is a finding itself.
func Check(s Subject) (*Report, error) {
	digest, err := s.Lock.Digest()
	if err != nil {
		return nil, err
	}
	report := &Report{Number: s.Lock.Number, Digest: digest, Findings: []Finding{}, Accepted: []Finding{}}
	used := make([]bool, len(s.Lock.Accepted))
	for _, rule := range Rules() {
		report.Rules = append(report.Rules, rule.Name)
		for _, finding := range rule.find(&s) {
			finding.Rule = rule.Name
			if i := acceptance(&s, rule, finding); i >= 0 {
				used[i] = true
				finding.Accepted = &s.Lock.Accepted[i]
				report.Accepted = append(report.Accepted, finding)
				continue
			}
			report.Findings = append(report.Findings, finding)
		}
	}
	report.Rules = append(report.Rules, acceptanceRule)
	report.Findings = append(report.Findings, idle(&s, used)...)
	return report, nil
}

// acceptance returns the index of the lock's acceptance of a finding, or -1.
func acceptance(s *Subject, rule Rule, f Finding) int {
	if rule.Binding || f.Image == "" {
		return -1
	}
	name, _, _ := strings.Cut(f.Image, "@")
	return slices.IndexFunc(s.Lock.Accepted, func(a lock.Acceptance) bool {
		return a.Rule == rule.Name && (a.Image == f.Image || a.Image == name) && s.today() <= a.Until
	})
}

// idle finds the acceptances that silence nothing.
func idle(s *Subject, used []bool) []Finding {
	var all []Finding
	for i, a := range s.Lock.Accepted {
		if used[i] {
			continue
		}
		f := Finding{Rule: acceptanceRule, Image: a.Image, Field: fmt.Sprintf("accepted[%d]", i), Remedy: "take it out of the lock"}
		known := slices.IndexFunc(Rules(), func(r Rule) bool { return r.Name == a.Rule })
		switch {
		case known < 0:
			f.Problem = fmt.Sprintf("there is no rule %q", a.Rule)
		case Rules()[known].Binding:
			f.Problem = fmt.Sprintf("findings of the rule %q cannot be accepted", a.Rule)
		case a.Until < s.today():
			f.Problem = fmt.Sprintf("the acceptance of %q ended with %s", a.Rule, a.Until)
			f.Remedy = "mend what it is about, or accept it anew with a reason that still holds"
		default:
			f.Problem = fmt.Sprintf("nothing is found by %q that it would silence", a.Rule)
		}
		all = append(all, f)
	}
	return all
}

// today is the day of the check, as locks write days.
func (s *Subject) today() string { return s.Now.UTC().Format(time.DateOnly) }
