package apply

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/secrets"
)

// keptEntries is how many entries of the journal stay for `slipway-agent status` to tell of.
const keptEntries = 16

// collect keeps the confirmed generation and the one before it, and what they refer to. A
// generation that a running component still has mounted stays until that one restarts: to remove
// a directory under its mounts would unmount them.
func (t *transition) collect(ctx context.Context) error {
	keep := []uint64{t.entry.Generation}
	if t.wasGood(t.entry.Previous) {
		keep = append(keep, t.entry.Previous)
	}
	mounted, err := t.mounted(ctx)
	if err != nil {
		return err
	}
	keep = append(keep, mounted...)
	numbers, err := t.Generations.Numbers()
	if err != nil {
		return err
	}
	var plans []*generation.Generation
	for _, number := range numbers {
		if !slices.Contains(keep, number) {
			if err := t.Generations.Remove(number); err != nil {
				return err
			}
			continue
		}
		g, err := t.Generations.Load(number)
		if err != nil {
			return err
		}
		plans = append(plans, g)
	}
	if err := t.collectReferred(plans); err != nil {
		return err
	}
	return t.forget(keep)
}

func (t *transition) collectReferred(kept []*generation.Generation) error {
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
	if err := t.Puller.Store.Collect(images); err != nil {
		return err
	}
	if err := t.Certificates.Collect(pairs); err != nil {
		return err
	}
	return t.Secrets.Collect(values)
}

func (t *transition) forget(keep []uint64) error {
	known, err := t.Journal.Entries()
	if err != nil {
		return err
	}
	var old []uint64
	for i, entry := range known {
		if i < len(known)-keptEntries && !slices.Contains(keep, entry.Generation) && entry.Step != journal.Returning {
			old = append(old, entry.Generation)
		}
	}
	return t.Journal.Drop(old)
}

// mounted returns the generations that running units of ours have mounts from.
func (t *transition) mounted(ctx context.Context) ([]uint64, error) {
	var numbers []uint64
	for _, unit := range startUnits(t.checked.Plan) {
		status, err := t.Systemd.Status(ctx, unit)
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

// mountsOf reads the generations that a mount table's roots are in (proc_pid_mountinfo(5)).
func mountsOf(path string) ([]uint64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	const rootField = 3
	var numbers []uint64
	for lines := bufio.NewScanner(file); lines.Scan(); {
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
	return numbers, nil
}
