// Package health says whether the units of a generation are well: it follows their states as
// systemd reports them, and returns when all are active or one has failed for good.
package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/units/drive"
)

const (
	// settle is how long a failed state must last to count: a unit that systemd restarts passes
	// through it.
	settle = 150 * time.Millisecond
	// requeueAfter spaces the starts of a unit whose job ended because what it requires had failed
	// once; systemd does not queue it again when that one recovers.
	requeueAfter = 500 * time.Millisecond
	// recheck bounds how long a lost notification could go unnoticed.
	recheck = 2 * time.Second
)

// UnitError says which unit is not well.
type UnitError struct {
	Unit   string
	Detail string
}

func (e *UnitError) Error() string { return "unit " + e.Unit + " " + e.Detail }

// Progress is called with the units that are active and a description of those awaited, whenever
// that changed.
type Progress func(active, total int, waiting string)

// Await returns nil once all units are active (a oneshot unit: done). A unit that systemd has
// given up ends the wait with a terminal UnitError; so does the end of ctx, which then names
// what was awaited.
func Await(ctx context.Context, driver drive.Driver, units []string, progress Progress) error {
	return AwaitBefore(ctx, driver, units, 0, progress)
}

// AwaitBefore is Await where there is something better than to go on waiting: a unit that has
// ended by itself as often as exits since it was last asked to start, and is being started once
// more, ends the wait, too. 0 is no limit.
func AwaitBefore(ctx context.Context, driver drive.Driver, units []string, exits int, progress Progress) error {
	w := &wait{driver: driver, units: units, exits: exits, failedAt: map[string]time.Time{}, requeued: map[string]time.Time{}}
	told := ""
	for {
		changed := driver.Changed()
		pending, err := w.check(ctx)
		if err != nil {
			return err
		}
		if len(pending) == 0 {
			if progress != nil {
				progress(len(units), len(units), "")
			}
			return nil
		}
		if waiting := strings.Join(pending, ", "); waiting != told && progress != nil {
			told = waiting
			progress(len(units)-len(pending), len(units), waiting)
		}
		timer := time.NewTimer(w.next())
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return w.late(ctx, pending)
		}
		timer.Stop()
	}
}

type wait struct {
	driver   drive.Driver
	units    []string
	exits    int
	failedAt map[string]time.Time
	requeued map[string]time.Time
}

// next is until when a look at the states is due even without news.
func (w *wait) next() time.Duration {
	if len(w.failedAt) > 0 {
		return settle
	}
	return recheck
}

// check returns the units that are not well yet, with their state.
func (w *wait) check(ctx context.Context) ([]string, error) {
	states, err := w.driver.States(ctx, w.units)
	if err != nil {
		if ctx.Err() != nil {
			return w.units, nil // the caller sees the end of ctx
		}
		return nil, err
	}
	var pending []string
	for _, unit := range w.units {
		state := states[unit]
		if state.Active != "failed" || state.Queued {
			delete(w.failedAt, unit)
		}
		switch state.Active {
		case "active":
			continue
		case "activating":
			if err := w.looping(ctx, unit, state); err != nil {
				return nil, err
			}
		case "failed":
			if state.Queued {
				break // what failed was the stop of its former process; its start waits for others
			}
			if err := w.failed(ctx, unit); err != nil {
				return nil, err
			}
		case "inactive":
			done, err := w.inactive(ctx, unit, state)
			if err != nil {
				return nil, err
			}
			if done {
				continue
			}
		}
		pending = append(pending, fmt.Sprintf("%s (%s)", unit, describe(state)))
	}
	return pending, nil
}

func describe(state drive.State) string {
	if state.Sub == "" || state.Sub == state.Active {
		return state.Active
	}
	return state.Active + ", " + state.Sub
}

// looping gives up a unit that ends again and again.
func (w *wait) looping(ctx context.Context, unit string, state drive.State) error {
	if w.exits == 0 || state.Sub != "auto-restart" {
		return nil
	}
	status, err := w.driver.Status(ctx, unit)
	if err != nil || status.Active != "activating" || int(status.Restarts) < w.exits {
		return nil
	}
	return &fault.Error{Kind: fault.Terminal, Err: &UnitError{Unit: unit, Detail: failure(status)}}
}

func (w *wait) failed(ctx context.Context, unit string) error {
	since, known := w.failedAt[unit]
	if !known {
		w.failedAt[unit] = time.Now()
		return nil
	}
	if time.Since(since) < settle {
		return nil
	}
	status, err := w.driver.Status(ctx, unit)
	if err != nil || status.Active != "failed" {
		return nil // gone on in the meantime
	}
	return &fault.Error{Kind: fault.Terminal, Err: &UnitError{Unit: unit, Detail: failure(status)}}
}

// failure says in words how a unit failed.
func failure(status drive.Status) string {
	const exited = 1 // CLD_EXITED
	text := "failed: " + status.Result
	if status.Result == "exit-code" && status.ExitKind == exited {
		text += fmt.Sprintf(" %d", status.ExitCode)
	} else if status.Result == "signal" || status.Result == "core-dump" {
		text += fmt.Sprintf(" %d", status.ExitCode)
	}
	if status.Restarts > 0 {
		text += fmt.Sprintf(" after %d restarts", status.Restarts)
	}
	return text
}

// inactive decides about a unit that does not run: a oneshot that is done is well; one whose
// start was cancelled with that of another is queued again.
func (w *wait) inactive(ctx context.Context, unit string, state drive.State) (bool, error) {
	if state.Load == "not-found" || state.Load == "error" || state.Load == "bad-setting" {
		return false, &fault.Error{Kind: fault.Terminal, Err: &UnitError{Unit: unit, Detail: "cannot be loaded by systemd: " + state.Load}}
	}
	status, err := w.driver.Status(ctx, unit)
	if err != nil {
		return false, nil
	}
	if status.Type == "oneshot" && status.Active == "inactive" && status.ExitKind != 0 && status.Result == "success" {
		return true, nil
	}
	last, known := w.requeued[unit]
	if !known {
		w.requeued[unit] = time.Now() // its first job may be under way
		return false, nil
	}
	if time.Since(last) < requeueAfter {
		return false, nil
	}
	w.requeued[unit] = time.Now()
	// How the job ends is told by the unit's state.
	if _, err := w.driver.Queue(ctx, []drive.Job{{Unit: unit, Action: drive.Start}}); err != nil {
		return false, fmt.Errorf("start %s again: %w", unit, err)
	}
	return false, nil
}

func (w *wait) late(ctx context.Context, pending []string) error {
	cause := context.Cause(ctx)
	slices.Sort(pending)
	unit, _, _ := strings.Cut(pending[0], " ")
	detail := fmt.Sprintf("is not active: %v; waiting for %s", cause, strings.Join(pending, ", "))
	if status, err := w.driver.Status(context.WithoutCancel(ctx), unit); err == nil && status.Restarts > 0 {
		detail += "; it has " + failure(status)
	}
	if errors.Is(cause, context.Canceled) {
		return fmt.Errorf("unit %s %s: %w", unit, detail, cause)
	}
	return &fault.Error{Kind: fault.Terminal, Err: &UnitError{Unit: unit, Detail: detail}}
}
