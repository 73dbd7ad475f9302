package conditions_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/protocol"
)

// script is a source that sees one status after the other and then the last one for ever.
type script struct {
	every time.Duration
	sees  []string
	looks int
}

func (s *script) Every() time.Duration { return s.every }

func (s *script) Look(context.Context) []protocol.Condition {
	status := s.sees[min(s.looks, len(s.sees)-1)]
	s.looks++
	if status == "" {
		return nil
	}
	return []protocol.Condition{{Type: "Scripted", Status: status, Reason: "Because" + status}}
}

// told collects what a board reports.
type told struct {
	mu      sync.Mutex
	reports [][]protocol.Condition
	fail    int // reports to refuse
}

func (l *told) audience() conditions.Audience {
	return conditions.Audience{
		Show: func([]protocol.Condition) {},
		Report: func(all []protocol.Condition) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.fail > 0 {
				l.fail--
				return errors.New("the disk is full")
			}
			l.reports = append(l.reports, all)
			return nil
		},
	}
}

func (l *told) statuses(name string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, report := range l.reports {
		for _, condition := range report {
			if condition.Type == name {
				out = append(out, condition.Status)
			}
		}
	}
	return out
}

// watch runs a board with the source for a time of the bubble's clock.
func watch(t *testing.T, l *told, source conditions.Source, earlier []protocol.Condition, during time.Duration) *conditions.Board {
	t.Helper()
	board := conditions.New(earlier, l.audience(), slog.New(slog.DiscardHandler))
	if source != nil {
		board.Add(source)
	}
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	if err := board.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the board ended with %v", err)
	}
	return board
}

func TestOneLookChangesNothingAndThreeDo(t *testing.T) {
	for name, test := range map[string]struct {
		sees []string
		want []string
	}{
		"a blip":                  {[]string{"False", "True", "False"}, []string{"False"}},
		"two blips":               {[]string{"False", "True", "True", "False", "True", "False"}, []string{"False"}},
		"three in a row":          {[]string{"False", "True"}, []string{"False", "True"}},
		"and back":                {[]string{"False", "True", "True", "True", "False"}, []string{"False", "True", "False"}},
		"true from the start":     {[]string{"True"}, []string{"True"}},
		"doubts between":          {[]string{"False", "True", "Unknown", "True", "Unknown", "False"}, []string{"False"}},
		"nothing more to watch":   {[]string{"False", ""}, []string{"False"}},
		"a thing that comes late": {[]string{"", "", "False"}, []string{"False"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l told
				watch(t, &l, &script{every: time.Minute, sees: test.sees}, nil, 9*time.Minute)
				if got := l.statuses("Scripted"); !slices.Equal(got, test.want) {
					t.Errorf("reported %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestWhatStandsIsReportedEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l told
		source := &script{every: 30 * time.Second, sees: []string{"False"}}
		watch(t, &l, source, nil, time.Hour+time.Minute)
		if n := len(l.reports); n != 7 {
			t.Errorf("%d reports in an hour and a minute, want 7", n)
		}
		if source.looks != 122 {
			t.Errorf("%d looks, want 122", source.looks)
		}
	})
}

func TestADoubtIsLookedAtAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l told
		watch(t, &l, &script{every: time.Hour, sees: []string{"False", "True"}}, nil, time.Hour+time.Minute)
		if got := l.statuses("Scripted"); got[len(got)-1] != "True" {
			t.Errorf("a minute after the hourly look it is %v", got)
		}
	})
}

func TestAReportThatFailsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := told{fail: 2}
		watch(t, &l, &script{every: 10 * time.Second, sees: []string{"False"}}, nil, time.Minute)
		if n := len(l.reports); n != 1 {
			t.Errorf("%d reports, want 1", n)
		}
	})
}

func TestARestartOfTheAgentKeepsSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().Add(-time.Hour).UTC()
		earlier := []protocol.Condition{{Type: "Scripted", Status: "True", Since: since}, {Type: "Gone", Status: "True", Since: since}}
		var l told
		board := watch(t, &l, &script{every: time.Minute, sees: []string{"True"}}, earlier, time.Minute)
		all := board.Conditions()
		if len(all) != 1 || !all[0].Since.Equal(since) {
			t.Errorf("conditions %+v, want Scripted alone since %v", all, since)
		}
	})
}

func TestWhoeverKnowsSetsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l told
		board := conditions.New(nil, l.audience(), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- board.Run(ctx) }()
		begun := time.Now()
		for _, status := range []string{"False", "True", "True"} {
			board.Set(protocol.Condition{Type: "Drift", Status: status, Reason: "R"})
			synctest.Wait()
		}
		if got := l.statuses("Drift"); !slices.Equal(got, []string{"False", "True"}) || time.Since(begun) != 0 {
			t.Errorf("after %v reported %v", time.Since(begun), got)
		}
		cancel()
		<-done
	})
}
