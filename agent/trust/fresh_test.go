package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/imagebuild/lock"
)

func TestOnlyWhatIsNewerAndNotExpiredIsNewlyApplied(t *testing.T) {
	issued := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	key, _ := testimage.Key(t)
	bakedBytes, signature, _ := testimage.LockIssued(t, key, 5, issued, 100*day)
	baked := t.TempDir()
	for name, raw := range map[string][]byte{"images.yaml": bakedBytes, "images.yaml.sig": signature} {
		if err := os.WriteFile(filepath.Join(baked, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		generation uint64
		lock       int64
		accepted   trust.Accepted
		now        time.Time
		want       string // "" for accepted
	}{
		"the first of all":                     {1, 5, trust.Accepted{}, issued.Add(day), ""},
		"a newer plan with the same lock":      {8, 6, trust.Accepted{Plan: 7, Lock: 6}, issued.Add(day), ""},
		"the same number again":                {7, 6, trust.Accepted{Plan: 7, Lock: 6}, issued.Add(day), "plan 7 is older than generation 7, which this node knows already: expected a number above 7, found 7"},
		"an older plan":                        {3, 6, trust.Accepted{Plan: 7, Lock: 6}, issued.Add(day), "found 3"},
		"a lock older than one accepted":       {8, 6, trust.Accepted{Plan: 7, Lock: 9}, issued.Add(day), "lock number 6 is older than the newest that this node has accepted: expected number 9 or above, found 6"},
		"a lock older than the baked one":      {1, 4, trust.Accepted{}, issued.Add(day), "lock number 4 is older than the one baked into the OS layer: expected number 5 or above, found 4"},
		"a plan at its last instant":           {1, 5, trust.Accepted{}, issued.Add(30*day - time.Nanosecond), ""},
		"a plan that has expired":              {1, 5, trust.Accepted{}, issued.Add(30 * day), "plan 1 has expired: expected to be applied before 2026-12-21T17:00:00Z, the node's clock says 2026-12-21T17:00:00Z"},
		"a lock that has expired":              {1, 7, trust.Accepted{}, issued.Add(10 * day), "lock number 7 has expired"},
		"with a clock that stands at 1970":     {1, 5, trust.Accepted{}, time.Unix(0, 0), ""},
		"expired before the baked lock, there": {1, 8, trust.Accepted{}, time.Unix(0, 0), "the node's clock says 2026-11-21T17:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			verifier := &trust.Verifier{Baked: baked, Now: func() time.Time { return tt.now }}
			l := &lock.Lock{}
			switch tt.lock {
			case 7:
				l.Issue(tt.lock, issued, 10*day)
			case 8:
				l.Issue(tt.lock, issued.Add(-2*day), day)
			default:
				l.Issue(tt.lock, issued, 100*day)
			}
			p := &plan.Plan{Generation: tt.generation}
			p.Issue(issued, 30*day)
			err := verifier.Fresh(&trust.Checked{Plan: p, Lock: l}, tt.accepted)
			if tt.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.want != "" && (!fault.IsTerminal(err) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want a terminal one with %q", err, tt.want)
			}
		})
	}
}

func TestAClockBeforeTheBakedLockIsSaidToBeBehind(t *testing.T) {
	issued := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	key, _ := testimage.Key(t)
	raw, _, _ := testimage.LockIssued(t, key, 5, issued, time.Hour)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "images.yaml"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	for now, want := range map[time.Time]bool{time.Unix(0, 0): true, issued.Add(-time.Second): true, issued: false, issued.Add(time.Hour): false} {
		verifier := &trust.Verifier{Baked: dir, Now: func() time.Time { return now }}
		text, behind := verifier.ClockBehind()
		if behind != want || behind != strings.Contains(text, "was issued at 2026-11-21T17:00:00Z") {
			t.Errorf("at %s: %v %q", now, behind, text)
		}
	}
	if text, behind := (&trust.Verifier{Baked: t.TempDir()}).ClockBehind(); behind {
		t.Errorf("without a baked lock: %s", text)
	}
	if err := os.WriteFile(filepath.Join(dir, "images.yaml"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &plan.Plan{Generation: 1}
	p.Issue(issued, time.Hour)
	l := &lock.Lock{}
	l.Issue(5, issued, time.Hour)
	if err := (&trust.Verifier{Baked: dir}).Fresh(&trust.Checked{Plan: p, Lock: l}, trust.Accepted{}); !fault.IsTerminal(err) {
		t.Errorf("with a damaged baked lock: %v", err)
	}
}
