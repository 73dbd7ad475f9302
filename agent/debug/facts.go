package debug

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/trust"
)

// facts are what is known of the node as a whole. Looking never fails: what could not be read is
// a fact, too, and often the one that is looked for.
type facts struct {
	number     uint64 // current generation, 0 for none
	gen        *generation.Generation
	genErr     error
	entries    []journal.Entry // by generation, ascending
	queued     []journal.Queued
	filled     map[string]bool
	journalErr error
	checked    *trust.Checked // the current generation's delivery; nil when it does not hold
	checkErr   error
	agent      *status.Status // nil when it has not run since the boot
}

// maxQueued bounds the signals of the outbox that are looked at.
const maxQueued = 1000

func (n *Node) look(ctx context.Context) *facts {
	f := &facts{}
	if f.number, f.genErr = n.store().CurrentNumber(); f.genErr == nil && f.number != 0 {
		f.gen, f.genErr = n.store().Load(f.number)
		if f.checked, f.checkErr = n.checked(ctx, f.number); f.checkErr != nil {
			f.checked = nil // what of it was read is not to be believed
		}
	}
	if f.gen == nil && f.checkErr == nil && f.checked != nil {
		f.gen = n.store().Of(f.checked) // the generation's own copy of the plan is damaged
	}
	f.readJournal(n.stateDir())
	if s, err := status.Read(n.StatusFile); err == nil {
		f.agent = s
	}
	return f
}

func (f *facts) readJournal(dir string) {
	j, err := journal.Snapshot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		f.journalErr = err
		return
	}
	defer func() { _ = j.Close() }()
	var errs [3]error
	f.entries, errs[0] = j.Entries()
	f.queued, errs[1] = j.Queue(maxQueued)
	f.filled, errs[2] = j.Filled()
	f.journalErr = errors.Join(errs[:]...)
}

// entry returns what the journal knows of a generation, nil for nothing.
func (f *facts) entry(number uint64) *journal.Entry {
	i := slices.IndexFunc(f.entries, func(e journal.Entry) bool { return e.Generation == number })
	if i < 0 {
		return nil
	}
	return &f.entries[i]
}

// newest returns the newest generation that the journal knows of, nil for none.
func (f *facts) newest() *journal.Entry {
	if len(f.entries) == 0 {
		return nil
	}
	return &f.entries[len(f.entries)-1]
}
