package conditions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/units/drive"
)

// counted is the fake systemd with restarts of units, and counts the questions for details.
type counted struct {
	drive.Fake
	restarts map[string]uint32
	asked    int
}

func (c *counted) Status(ctx context.Context, unit string) (drive.Status, error) {
	c.asked++
	status, err := c.Fake.Status(ctx, unit)
	status.Restarts, status.Result, status.ExitCode = c.restarts[unit], "exit-code", 3
	return status, err
}

const unitA, unitB = "slipway-a.service", "slipway-b.service"

var active = drive.State{Load: "loaded", Active: "active", Sub: "running"}

func newUnits() (*counted, *conditions.Units) {
	systemd := &counted{restarts: map[string]uint32{}}
	systemd.Set(unitA, active)
	systemd.Set(unitB, active)
	return systemd, &conditions.Units{Systemd: systemd, Wanted: func() ([]string, error) { return []string{unitA, unitB}, nil }}
}

func TestAUnitThatIsNotActiveIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		state                   drive.State
		status, reason, message string
	}{
		"failed":   {drive.State{Active: "failed", Sub: "failed"}, "True", "Failed", unitB + " (exit-code, status 3)"},
		"stopped":  {drive.State{Active: "inactive", Sub: "dead"}, "True", "Stopped", unitB},
		"starting": {drive.State{Active: "activating", Sub: "start"}, "False", "Starting", unitB + " (start)"},
		"active":   {active, "False", "Active", "2 units"},
	} {
		t.Run(name, func(t *testing.T) {
			systemd, units := newUnits()
			systemd.Set(unitB, test.state)
			c := one(t, units, "UnitsFailed")
			is(t, c, test.status, test.reason)
			if !strings.Contains(c.Message, test.message) {
				t.Errorf("message %q does not say %q", c.Message, test.message)
			}
		})
	}
}

func TestAUnitThatIsRestartedAgainAndAgainIsSick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		systemd, units := newUnits()
		systemd.restarts[unitA] = 40 // long ago
		is(t, one(t, units, "UnitsFailed"), "False", "Active")
		for range 2 {
			time.Sleep(time.Minute)
			systemd.restarts[unitA]++
			systemd.Set(unitA, active)
			is(t, one(t, units, "UnitsFailed"), "False", "Active")
		}
		systemd.restarts[unitA]++
		systemd.Set(unitA, active)
		is(t, one(t, units, "UnitsFailed"), "True", "Restarting")
		time.Sleep(11 * time.Minute)
		is(t, one(t, units, "UnitsFailed"), "False", "Active")
	})
}

func TestAtRestNoDetailsAreAskedFor(t *testing.T) {
	systemd, units := newUnits()
	one(t, units, "UnitsFailed")
	before := systemd.asked
	for range 5 {
		one(t, units, "UnitsFailed")
	}
	if systemd.asked != before {
		t.Errorf("asked %d times though nothing had changed", systemd.asked-before)
	}
}

func TestWithoutAGenerationThereAreNoUnitsToWatch(t *testing.T) {
	systemd := &counted{}
	units := &conditions.Units{Systemd: systemd, Wanted: func() ([]string, error) { return nil, nil }}
	if got := units.Look(t.Context()); len(got) != 0 {
		t.Errorf("%v", got)
	}
	units.Wanted = func() ([]string, error) { return nil, errors.New("input/output error") }
	is(t, one(t, units, "UnitsFailed"), "Unknown", "Unreadable")
}
