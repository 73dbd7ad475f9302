package store

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/uptrace/bun"
)

// batchLimit bounds how many transactions share one commit, and so how long the first waits.
const batchLimit = 128

// writer runs transactions one after the other and commits those that queued up together.
type writer struct {
	db            *bun.DB
	d             dialect
	hub           *hub
	now           func() time.Time
	before, after func() error
	requests      chan *request
	stop          chan struct{}
	stopOnce      sync.Once
	done          chan struct{}
}

type request struct {
	ctx    context.Context
	fn     func(context.Context, *Tx) error
	tx     *Tx
	result chan error
}

func startWriter(db *bun.DB, d dialect, h *hub, now func() time.Time, o Options) *writer {
	w := &writer{
		db: db, d: d, hub: h, now: now, before: o.BeforeCommit, after: o.AfterCommit,
		requests: make(chan *request, batchLimit),
		stop:     make(chan struct{}), done: make(chan struct{}),
	}
	go w.loop()
	return w
}

func (w *writer) do(ctx context.Context, fn func(context.Context, *Tx) error) error {
	r := &request{ctx: ctx, fn: fn, result: make(chan error, 1)}
	select {
	case <-w.stop:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	case w.requests <- r:
	}
	// Once handed over the outcome must be known: a caller that left early could not tell
	// whether its transaction was committed.
	select {
	case err := <-r.result:
		return err
	case <-w.done:
		select {
		case err := <-r.result:
			return err
		default:
			return ErrClosed
		}
	}
}

// close stops the writer after the batch that is running.
func (w *writer) close() {
	w.stopOnce.Do(func() { close(w.stop) })
	<-w.done
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			return
		case r := <-w.requests:
			if alive := w.batch(r); !alive {
				w.stopOnce.Do(func() { close(w.stop) })
				return
			}
		}
	}
}

// batch runs first and what has queued up behind it in one transaction of the database. It
// returns false when a test's hook has killed the store.
func (w *writer) batch(first *request) (alive bool) {
	ctx := context.Background()
	dbtx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		first.result <- fmt.Errorf("begin transaction: %w", err)
		return true
	}
	var ran []*request
	fail := func(err error) {
		_ = dbtx.Rollback() // the error that led here is the one to tell
		for _, r := range ran {
			r.result <- err
		}
	}
	for r := first; r != nil; r = w.next(len(ran)) {
		if r.ctx.Err() != nil {
			r.result <- context.Cause(r.ctx)
			continue
		}
		ok, err := w.run(ctx, dbtx, r)
		if err != nil {
			ran = append(ran, r)
			fail(err)
			return true
		}
		if ok {
			ran = append(ran, r)
		}
	}
	if len(ran) == 0 {
		_ = dbtx.Rollback() // nothing was written
		return true
	}
	if w.before != nil {
		if err := w.before(); err != nil {
			fail(err)
			return false
		}
	}
	if err := dbtx.Commit(); err != nil {
		fail(fmt.Errorf("commit: %w", err))
		return true
	}
	if w.after != nil {
		if err := w.after(); err != nil {
			for _, r := range ran {
				r.result <- err
			}
			return false
		}
	}
	for _, r := range ran {
		w.hub.notify(r.tx.topics)
		r.result <- nil
	}
	return true
}

func (w *writer) next(taken int) *request {
	if taken >= batchLimit {
		return nil
	}
	select {
	case r := <-w.requests:
		return r
	default:
		return nil
	}
}

// run gives r a savepoint of its own, so that its failure leaves the others of the batch alone.
// ok is false when r has failed and was answered; an error means that the batch is lost.
func (w *writer) run(ctx context.Context, dbtx bun.Tx, r *request) (ok bool, err error) {
	if _, err := dbtx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return false, fmt.Errorf("set savepoint: %w", err)
	}
	r.tx = &Tx{Reader: Reader{db: dbtx, d: w.d}, now: w.now()}
	if ferr := protect(ctx, r); ferr != nil {
		for _, q := range []string{"ROLLBACK TO SAVEPOINT one", "RELEASE SAVEPOINT one"} {
			if _, err := dbtx.ExecContext(ctx, q); err != nil {
				return false, fmt.Errorf("%w (and the batch could not go on: %v)", ferr, err)
			}
		}
		r.result <- ferr
		return false, nil
	}
	if _, err := dbtx.ExecContext(ctx, "RELEASE SAVEPOINT one"); err != nil {
		return false, fmt.Errorf("release savepoint: %w", err)
	}
	return true, nil
}

// protect turns a panic of a transaction into its error: the writer serves everybody.
func protect(ctx context.Context, r *request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transaction panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return r.fn(ctx, r.tx)
}
