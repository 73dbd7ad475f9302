package release

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

func TestAnAcceptanceIsIssuedAndRetracted(t *testing.T) {
	l := lockOf(t, kubernetes("v1.36.3"), one("etcd", "v3.6.16", "1.36"), one("calico-node", "v3.28.5", "1.36"))
	a := lock.Acceptance{Rule: "calico", Image: "calico-node@v3.28.5", Reason: "tried with 1.36.3", Until: "2027-01-31"}
	next, err := Accept(l, a, today, time.Hour)
	if err != nil || next.Number != 8 || len(next.Accepted) != 1 || len(l.Accepted) != 0 {
		t.Fatalf("%+v, %v", next, err)
	}
	expect(t, find(t, "calico", subject(next)))
	expect(t, find(t, acceptanceRule, subject(next)))
	a.Until = "2027-06-30"
	longer, err := Accept(next, a, today, time.Hour)
	if err != nil || len(longer.Accepted) != 1 || longer.Accepted[0].Until != a.Until || longer.Number != 9 {
		t.Fatalf("%+v, %v", longer, err)
	}
	none, err := Retract(longer, a.Rule, a.Image, today, time.Hour)
	if err != nil || len(none.Accepted) != 0 || none.Number != 10 {
		t.Fatalf("%+v, %v", none, err)
	}
	if _, err := Retract(none, a.Rule, a.Image, today, time.Hour); err == nil {
		t.Error("retracted twice")
	}
}

func TestAnAcceptanceThatCannotCountIsRefused(t *testing.T) {
	l := lockOf(t, kubernetes("v1.36.3"), one("etcd", "v3.6.16", "1.36"))
	for name, tt := range map[string]struct {
		a    lock.Acceptance
		want string
	}{
		"of a binding rule":     {lock.Acceptance{Rule: "signed", Image: "etcd", Reason: "x", Until: "2027-01-31"}, "cannot be accepted; those of pinned"},
		"of no rule":            {lock.Acceptance{Rule: "x", Image: "etcd", Reason: "x", Until: "2027-01-31"}, "cannot be accepted"},
		"of no image":           {lock.Acceptance{Rule: "support", Image: "x", Reason: "x", Until: "2027-01-31"}, "no image"},
		"of another version":    {lock.Acceptance{Rule: "support", Image: "etcd@v1", Reason: "x", Until: "2027-01-31"}, "no etcd@v1"},
		"until yesterday":       {lock.Acceptance{Rule: "support", Image: "etcd", Reason: "x", Until: "2026-11-21"}, "has passed"},
		"until no day":          {lock.Acceptance{Rule: "support", Image: "etcd", Reason: "x", Until: "tomorrow"}, "is not a day"},
		"without a reason":      {lock.Acceptance{Rule: "support", Image: "etcd", Reason: "", Until: "2027-01-31"}, "reason"},
		"a reason of two lines": {lock.Acceptance{Rule: "support", Image: "etcd", Reason: "a\nb", Until: "2027-01-31"}, "reason"},
	} {
		if _, err := Accept(l, tt.a, today, time.Hour); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
