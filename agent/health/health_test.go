package health_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/units/drive"
)

func state(active, sub string) drive.State {
	return drive.State{Load: "loaded", Active: active, Sub: sub}
}

func TestAUnitThatPassesThroughFailedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		systemd := &drive.Fake{}
		systemd.Set("a.service", state("failed", "failed"))
		go func() {
			time.Sleep(50 * time.Millisecond)
			systemd.Set("a.service", state("activating", "auto-restart"))
			time.Sleep(time.Minute)
			systemd.Set("a.service", state("active", "running"))
		}()
		if err := health.Await(t.Context(), systemd, []string{"a.service"}, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestAUnitThatStaysFailedEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		systemd := &drive.Fake{}
		systemd.Set("a.service", state("active", "running"))
		systemd.Set("b.service", state("failed", "failed"))
		began := time.Now()
		err := health.Await(t.Context(), systemd, []string{"a.service", "b.service"}, nil)
		var unit *health.UnitError
		if !errors.As(err, &unit) || unit.Unit != "b.service" || !fault.IsTerminal(err) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s to see a failure", took)
		}
	})
}

func TestAUnitWhoseStartWasCancelledIsQueuedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		systemd := &drive.Fake{}
		systemd.Set("a.service", state("inactive", "dead"))
		if err := health.Await(t.Context(), systemd, []string{"a.service"}, nil); err != nil {
			t.Error(err)
		}
		if actions := systemd.Actions(); len(actions) != 1 || actions[0] != "start a.service" {
			t.Errorf("systemd was asked %v", actions)
		}
	})
}

func TestAUnitThatEndsAgainAndAgainIsGivenUpWhereThatHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			restarts, exits int
			givenUp         bool
		}{{8, 8, true}, {9, 8, true}, {7, 8, false}, {100, 0, false}} {
			systemd := &drive.Fake{}
			looping := state("activating", "auto-restart")
			systemd.Set("a.service", looping)
			systemd.Detail(func(_ string, s *drive.Status) { s.Restarts, s.Result = uint32(test.restarts), "exit-code" })
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			began := time.Now()
			err := health.AwaitBefore(ctx, systemd, []string{"a.service"}, test.exits, nil)
			cancel()
			if gave := time.Since(began) < time.Minute; gave != test.givenUp || !strings.Contains(err.Error(), fmt.Sprintf("after %d restarts", test.restarts)) {
				t.Errorf("%+v: given up %v: %v", test, gave, err)
			}
		}
	})
}

func TestTheEndOfTimeNamesWhatWasAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		systemd := &drive.Fake{}
		systemd.Set("a.service", state("activating", "start"))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the plan's deadline has passed"))
		defer cancel()
		told := ""
		err := health.Await(ctx, systemd, []string{"a.service"}, func(_, _ int, waiting string) { told = waiting })
		if err == nil || !strings.Contains(err.Error(), "a.service (activating, start)") || !strings.Contains(err.Error(), "deadline") || !fault.IsTerminal(err) {
			t.Errorf("error %v", err)
		}
		if told != "a.service (activating, start)" {
			t.Errorf("progress said %q", told)
		}
	})
}

func TestAUnitThatSystemdDoesNotKnowIsATerminalFault(t *testing.T) {
	if err := health.Await(t.Context(), &drive.Fake{}, []string{"none.service"}, nil); !fault.IsTerminal(err) {
		t.Errorf("error %v", err)
	}
}
