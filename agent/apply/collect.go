package apply

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/secrets"
)

// keptEntries is how many entries of the journal stay for `slipway-agent status` to tell of.
const keptEntries = 16

// tidyLimit bounds how long a bad disk is asked again to let go of what is not needed.
const tidyLimit = time.Minute

// tidy collects what nobody needs any more. The node's state does not depend on it: what could
// not be removed is tried again after the next plan and at the agent's next start.
func (a *Applier) tidy(parent context.Context) {
	ctx, cancel := context.WithTimeout(parent, tidyLimit)
	defer cancel()
	err := a.insist(ctx, "collecting old generations", func() error {
		if err := a.Sweep(); err != nil {
			return err
		}
		return a.Collect(ctx)
	})
	if err != nil && parent.Err() == nil {
		a.Log.Warn("old generations could not be collected", "error", err)
	}
}

// Sweep removes what interrupted writes, fetches and removals left half done. No application may
// be staging; what others are writing or fetching meanwhile is left to them.
func (a *Applier) Sweep() error {
	state := filepath.Join(a.Generations.Root, "state")
	err := errors.Join(a.Puller.Sweep(), a.Generations.Sweep(), a.Certificates.Sweep(),
		durable.Sweep(a.Secrets.Dir), durable.Sweep(state), durable.Sweep(filepath.Join(state, "identity")), a.Trust.Sweep())
	if err != nil {
		return fmt.Errorf("clean up after an earlier run: %w", err)
	}
	return nil
}

// Collect removes everything but the current generation, the one that a failure would go back to,
// and what they refer to. It does nothing while a plan is unfinished. A generation that a running
// component still has mounted stays until that one restarts: to remove a directory under its
// mounts would unmount them.
func (a *Applier) Collect(ctx context.Context) error {
	known, err := a.Journal.Entries()
	if err != nil {
		return err
	}
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return err
	}
	last, ok := find(known, current)
	if current != 0 && !ok {
		return nil // a journal that does not know what runs cannot say what is old
	}
	if slices.ContainsFunc(known, func(e journal.Entry) bool { return unfinished(e) && !superseded(e, known, current) }) {
		return nil
	}
	keep := []uint64{current, last.Fallback}
	mounted, err := a.mounted(ctx, current)
	if err != nil {
		return err
	}
	keep = append(keep, mounted...)
	numbers, err := a.Generations.Numbers()
	if err != nil {
		return err
	}
	var plans []*generation.Generation
	for _, number := range numbers {
		if !slices.Contains(keep, number) {
			if err := a.Generations.Remove(number); err != nil {
				return err
			}
			continue
		}
		g, err := a.Generations.Load(number)
		if err != nil {
			return err
		}
		plans = append(plans, g)
	}
	if err := a.Generations.DropFailed(func(number uint64) bool { return number > current }); err != nil {
		return err
	}
	if err := a.collectReferred(plans); err != nil {
		return err
	}
	return a.forget(known, current, keep)
}

// unfinished reports whether something of a generation is still to be done.
func unfinished(entry journal.Entry) bool {
	return entry.Step != journal.Confirmed && entry.Step != journal.Abandoned
}

// superseded reports whether a newer plan has taken over from an unfinished one: what is not
// current is not wanted any more once a newer plan was accepted. Only a way back that has begun is
// gone to its end, unless a newer generation was confirmed meanwhile.
func superseded(entry journal.Entry, known []journal.Entry, current uint64) bool {
	return slices.ContainsFunc(known, func(e journal.Entry) bool {
		if e.Generation <= entry.Generation {
			return false
		}
		return e.Step == journal.Confirmed || entry.Step != journal.Returning && entry.Generation != current
	})
}

// begun reports whether a plan was accepted before and is not over: it is the newest, or one that
// is to be taken up again.
func (a *Applier) begun(known []journal.Entry, digest string) (bool, error) {
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return false, err
	}
	for i, entry := range known {
		if entry.PlanDigest == digest && (i == len(known)-1 || unfinished(entry) && !superseded(entry, known, current)) {
			return true, nil
		}
	}
	return false, nil
}

// Unfinished returns the generation whose application has to be taken up again: the newest that
// was begun and not replaced, or the newest at all for what may be left of its tasks; 0 for none.
func (a *Applier) Unfinished() (uint64, error) {
	known, err := a.Journal.Entries()
	if err != nil {
		return 0, err
	}
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return 0, err
	}
	for i, entry := range slices.Backward(known) {
		switch {
		case entry.Step == journal.Accepted, entry.Step == journal.Abandoned:
			// Nothing of it is here, or nothing more to do.
		case entry.Step == journal.Confirmed && i == len(known)-1:
			return entry.Generation, nil
		case unfinished(entry) && !superseded(entry, known, current):
			return entry.Generation, nil
		}
	}
	return 0, nil
}

func (a *Applier) collectReferred(kept []*generation.Generation) error {
	images, pairs, values := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, g := range kept {
		for _, image := range g.Plan.Images {
			images[image.Digest] = true
		}
		for _, certificate := range g.Plan.Certificates {
			pairs[certificate.Name] = true
		}
		for _, secret := range g.Plan.Secrets {
			values[secrets.File(secret)] = true
		}
	}
	if err := a.Puller.Store.Collect(images); err != nil {
		return err
	}
	if err := a.Certificates.Collect(pairs); err != nil {
		return err
	}
	return a.Secrets.Collect(values)
}

// forget closes the entries that newer ones have taken over from, and drops the oldest.
func (a *Applier) forget(known []journal.Entry, current uint64, keep []uint64) error {
	var old []uint64
	for i, entry := range known {
		if unfinished(entry) && superseded(entry, known, current) {
			entry.Step, entry.Jobs, entry.Reason = journal.Abandoned, nil, "a newer plan replaced it"
			if err := a.Journal.Put(entry); err != nil {
				return err
			}
		}
		if i < len(known)-keptEntries && !slices.Contains(keep, entry.Generation) {
			old = append(old, entry.Generation)
		}
	}
	return a.Journal.Drop(old)
}

// mounted returns the generations that running units of the current one have mounts from.
func (a *Applier) mounted(ctx context.Context, current uint64) ([]uint64, error) {
	if current == 0 {
		return nil, nil
	}
	g, err := a.Generations.Load(current)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, unit := range startUnits(g.Plan) {
		status, err := a.Systemd.Status(ctx, unit)
		if err != nil {
			return nil, err
		}
		if status.MainPID == 0 {
			continue
		}
		found, err := mountsOf(fmt.Sprintf("/proc/%d/mountinfo", status.MainPID))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		numbers = append(numbers, found...)
	}
	return numbers, nil
}

// maxMount bounds one line of a mount table; the options of an overlay take whole pages.
const maxMount = 1 << 20

// mountsOf reads the generations that a mount table's roots are in (proc_pid_mountinfo(5)).
func mountsOf(path string) ([]uint64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	const rootField = 3
	var numbers []uint64
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxMount)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= rootField {
			continue
		}
		_, rest, ok := strings.Cut(fields[rootField], "/generations/")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, "/")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return numbers, nil
}
