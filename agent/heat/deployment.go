package heat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/heat/hooks"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/redact"
)

// recover shows what an earlier life has left, and has its signals told.
func (w *worker) recover() error {
	all, err := w.ledger.All()
	if err != nil {
		return err
	}
	for _, entry := range all {
		w.board.entry(entry)
		if entry.Step == ledger.Started {
			w.log.Warn("a deployment had been started and its end is not known", "deployment", entry.ID, "name", entry.Name, "began", entry.Began)
		}
	}
	w.teller.kick()
	return nil
}

// deployment runs a deployment unless that was done before, by whomever. An error means that
// nothing of it was run, for a reason of this machine, or that ctx ended.
func (w *worker) deployment(ctx context.Context, d metadata.Deployment) error {
	entry, known, err := w.ledger.Get(d.ID)
	switch {
	case err != nil:
		return err
	case known && entry.Step == ledger.Finished:
		return w.listed(entry)
	case known && entry.Step == ledger.Started && !d.Options.Idempotent:
		return w.finish(ctx, entry, notify.Failure(hooks.StatusUnknown, fmt.Sprintf(
			"it was started at %s, and the agent or the node stopped before it ended: whether it did its work is not known, so it is not run again (options.idempotent: true allows that)",
			entry.Began.Format(time.RFC3339))))
	case !known:
		if begun, ended := w.config.Deployed.Seen(d.ID); begun {
			return w.adopt(ctx, d, ended)
		}
		entry = newEntry(d, ledger.Accepted)
		if err := w.ledger.Put(entry); err != nil {
			return err
		}
		w.config.reached("accepted")
	}
	resolved, err := d.Resolve()
	if errors.Is(err, metadata.ErrNoConfig) {
		return w.finish(ctx, entry, notify.Result{Stdout: "slipway: nothing to do: " + err.Error() + "\n"})
	}
	if err != nil {
		return w.finish(ctx, entry, notify.Failure(hooks.StatusRefused, err.Error()))
	}
	return w.execute(ctx, resolved, entry)
}

// adopt takes over a deployment that heat-config has begun. One of which it came to no end was
// never told to Heat, whose stack waits: it is reported as failed. None is run again.
func (w *worker) adopt(ctx context.Context, d metadata.Deployment, ended bool) error {
	entry := newEntry(d, ledger.Finished)
	if ended {
		w.log.Info("the deployment was done before this agent came", "deployment", d.ID, "name", d.Name)
		entry.Reason, entry.Ended = "done by heat-config", entry.Began
		w.board.entry(entry)
		return w.ledger.Put(entry)
	}
	return w.finish(ctx, entry, notify.Failure(hooks.StatusUnknown,
		"heat-config had started it and has left no result: whether it did its work is not known, so it is not run again"))
}

// execute runs a deployment between two entries of the ledger.
func (w *worker) execute(ctx context.Context, d metadata.Deployment, entry ledger.Entry) error {
	doc, err := d.Document()
	if err != nil {
		return w.finish(ctx, entry, notify.Failure(hooks.StatusRefused, err.Error()))
	}
	if err := w.config.Deployed.Mark(d.ID, doc); err != nil {
		return err
	}
	w.config.reached("marked")
	entry.Step, entry.Began = ledger.Started, time.Now().UTC()
	if err := w.ledger.Put(entry); err != nil {
		return err
	}
	w.config.reached("started")
	w.log.Info("deployment started", "deployment", d.ID, "name", d.Name, "group", d.Group)
	w.board.entry(entry)
	result, err := w.watched(ctx, d)
	if ctx.Err() != nil {
		return context.Cause(ctx) // its end is not known: the next life decides
	}
	if err != nil {
		result = notify.Failure(hooks.StatusRefused, err.Error())
	}
	w.config.reached("ran")
	return w.finish(ctx, entry, result)
}

// watched runs a deployment and tells meanwhile, in the log and the status file, that it goes on.
func (w *worker) watched(ctx context.Context, d metadata.Deployment) (notify.Result, error) {
	var spoken, last atomic.Int64
	began := time.Now()
	runner := w.config.Hooks
	runner.Spoke = func(n int) {
		spoken.Add(int64(n))
		last.Store(time.Now().UnixNano())
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	defer watch.Wait()
	defer close(done)
	watch.Go(func() {
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				quiet := time.Since(began)
				if at := last.Load(); at != 0 {
					quiet = time.Since(time.Unix(0, at))
				}
				w.board.running(d, spoken.Load(), quiet)
				w.log.Info("deployment goes on", "deployment", d.ID, "name", d.Name, "for", time.Since(began).Round(time.Second),
					"written", spoken.Load(), "silent", quiet.Round(time.Second))
			}
		}
	})
	return runner.Run(ctx, d)
}

// finish writes the result down, until that succeeds: it exists nowhere else.
func (w *worker) finish(ctx context.Context, entry ledger.Entry, result notify.Result) error {
	entry.Step, entry.Ended = ledger.Finished, time.Now().UTC()
	entry.Failed, entry.Reason = result.Status != 0, reason(result)
	body, err := result.Encode()
	if err != nil {
		return err
	}
	if entry.Target.Transport != notify.None {
		entry.Telling = ledger.Pending
	}
	waits := backoff.Backoff{First: time.Second, Max: time.Minute}
	for {
		err := w.ledger.Finish(entry, body)
		if err == nil {
			break
		}
		w.log.Error("a result cannot be written down, trying again", "deployment", entry.ID, "error", err)
		if waits.Wait(ctx) != nil {
			return err
		}
	}
	w.config.reached("finished")
	if entry.Failed {
		w.log.Error("deployment failed", "deployment", entry.ID, "name", entry.Name, "status", result.Status, "reason", entry.Reason)
	} else {
		w.log.Info("deployment done", "deployment", entry.ID, "name", entry.Name, "took", entry.Ended.Sub(entry.Began).Round(time.Millisecond))
	}
	w.board.entry(entry)
	w.teller.kick()
	// For the agents of old, should they come back. They look for the mark, so it matters more.
	if err := w.config.Deployed.Note(entry.ID, body); err != nil {
		w.log.Warn("the result is not in heat-config's state directory", "deployment", entry.ID, "error", err)
	}
	w.config.reached("noted")
	return nil
}

// reason says in a line why a deployment failed: the last line of standard error, redacted, when
// it is the agent's own.
func reason(r notify.Result) string {
	if r.Status == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	if own, ok := strings.CutPrefix(lines[len(lines)-1], "slipway: "); ok {
		return redact.Text(own)
	}
	return fmt.Sprintf("it ended with status %d", r.Status)
}
