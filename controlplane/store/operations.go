package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// The states of an operation.
const (
	OperationQueued     = "queued"
	OperationRunning    = "running"
	OperationDone       = "done"
	OperationFailed     = "failed"
	OperationSuperseded = "superseded" // a preempting operation of the cluster took its place
)

// Operation is one accepted request in the queue. The operations of a cluster run one after
// the other, except that a preempting one (delete) takes the place of what runs or waits.
type Operation struct {
	bun.BaseModel `bun:"table:operations"`

	Seq        int64           `bun:"seq,pk,autoincrement"`
	ID         string          `bun:"id"`
	ClusterID  string          `bun:"cluster_id"`
	Kind       string          `bun:"kind"`
	Payload    json.RawMessage `bun:"payload,type:text"`
	Actor      string          `bun:"actor"` // who asked: a user's id, or what automation
	Preempts   bool            `bun:"preempts"`
	State      string          `bun:"state"`
	NotBefore  time.Time       `bun:"not_before"`
	LeaseOwner string          `bun:"lease_owner,nullzero"`
	LeaseUntil time.Time       `bun:"lease_until,nullzero"`
	// FenceNumber grows with every claim; a holder of an older number may write nothing more.
	FenceNumber int64     `bun:"fence"`
	Attempts    int       `bun:"attempts"`
	CreatedAt   time.Time `bun:"created_at"`
	StartedAt   time.Time `bun:"started_at,nullzero"`
	FinishedAt  time.Time `bun:"finished_at,nullzero"`
	Error       string    `bun:"error,nullzero"`
}

// Fence is the right to write on behalf of an operation: it is valid as long as the operation
// is running under the same number.
type Fence struct {
	Operation string
	Number    int64
}

// Fence returns the right that came with the claim.
func (o *Operation) Fence() Fence { return Fence{o.ID, o.FenceNumber} }

// Enqueue adds an operation to the queue and wakes its subscribers. ID is made when empty.
func (tx *Tx) Enqueue(ctx context.Context, o *Operation) error {
	if o.ID == "" {
		o.ID = NewID()
	}
	if len(o.Payload) == 0 {
		o.Payload = json.RawMessage("{}")
	}
	o.State, o.CreatedAt = OperationQueued, tx.now
	if o.NotBefore.IsZero() {
		o.NotBefore = tx.now
	}
	tx.Notify(TopicOperations)
	return tx.insert(ctx, "operation "+o.Kind, o)
}

// ClaimOperation leases the oldest operation that may run now to owner, or returns nil when
// there is none. It may run when it is queued and due, or its lease has run out, and no other
// operation of its cluster is unfinished before it. A preempting one only waits for other
// preempting ones; claiming it supersedes the cluster's other unfinished operations, so that
// whoever works on them loses the right to write.
func (tx *Tx) ClaimOperation(ctx context.Context, owner string, lease time.Duration) (*Operation, error) {
	o := new(Operation)
	err := tx.db.NewRaw(`
		SELECT * FROM operations AS o
		WHERE ((state = ? AND not_before <= ?) OR (state = ? AND lease_until < ?))
		  AND NOT EXISTS (
			SELECT 1 FROM operations AS e
			WHERE e.cluster_id = o.cluster_id AND e.seq < o.seq AND e.state IN (?, ?) AND (e.preempts OR NOT o.preempts))
		ORDER BY preempts DESC, seq LIMIT 1 `+tx.d.skipLocked,
		OperationQueued, tx.now, OperationRunning, tx.now, OperationQueued, OperationRunning).Scan(ctx, o)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim operation: %w", err)
	}
	if o.Preempts {
		if _, err := tx.exec(ctx, "supersede operations of cluster "+o.ClusterID,
			`UPDATE operations SET state = ?, finished_at = ?, fence = fence + 1, error = ?
			 WHERE cluster_id = ? AND seq < ? AND state IN (?, ?)`,
			OperationSuperseded, tx.now, "superseded by "+o.Kind+" "+o.ID, o.ClusterID, o.Seq, OperationQueued, OperationRunning); err != nil {
			return nil, err
		}
	}
	o.State, o.LeaseOwner, o.LeaseUntil = OperationRunning, owner, tx.now.Add(lease)
	o.FenceNumber++
	o.Attempts++
	if o.StartedAt.IsZero() {
		o.StartedAt = tx.now
	}
	n, err := tx.exec(ctx, "claim operation "+o.ID,
		`UPDATE operations SET state = ?, lease_owner = ?, lease_until = ?, fence = ?, attempts = ?, started_at = ? WHERE id = ?`,
		o.State, o.LeaseOwner, o.LeaseUntil, o.FenceNumber, o.Attempts, o.StartedAt, o.ID)
	if err := updated(n, err, "operation "+o.ID); err != nil {
		return nil, err
	}
	return o, nil
}

// CheckFence returns a conflict (fault.Conflict) when f is no longer the right to write.
func (tx *Tx) CheckFence(ctx context.Context, f Fence) error {
	var state string
	var number int64
	err := tx.db.NewRaw(`SELECT state, fence FROM operations WHERE id = ?`, f.Operation).Scan(ctx, &state, &number)
	if err != nil {
		return notFound(err, "operation", f.Operation)
	}
	if state != OperationRunning || number != f.Number {
		return conflict("operation %s is %s under fence %d: it no longer belongs to the holder of fence %d", f.Operation, state, number, f.Number)
	}
	return nil
}

// RenewOperation prolongs the lease, or returns a conflict.
func (tx *Tx) RenewOperation(ctx context.Context, f Fence, lease time.Duration) error {
	return tx.fenced(ctx, f, `UPDATE operations SET lease_until = ? WHERE id = ?`, tx.now.Add(lease), f.Operation)
}

// FinishOperation ends the operation as done, or as failed when problem is not empty, or
// returns a conflict.
func (tx *Tx) FinishOperation(ctx context.Context, f Fence, problem string) error {
	state := OperationDone
	if problem != "" {
		state = OperationFailed
	}
	tx.Notify(TopicOperations)
	return tx.fenced(ctx, f, `UPDATE operations SET state = ?, finished_at = ?, lease_owner = NULL, lease_until = NULL, error = ? WHERE id = ?`,
		state, tx.now, null(problem), f.Operation)
}

// ReleaseOperation puts the operation back into the queue, to be claimed after wait.
func (tx *Tx) ReleaseOperation(ctx context.Context, f Fence, wait time.Duration) error {
	tx.Notify(TopicOperations)
	return tx.fenced(ctx, f, `UPDATE operations SET state = ?, not_before = ?, lease_owner = NULL, lease_until = NULL WHERE id = ?`,
		OperationQueued, tx.now.Add(wait), f.Operation)
}

// ReleaseLeases puts all that owner runs back into the queue and returns how much that was. A
// process calls it at its start for the name it also had before it died, so that it need not
// wait for its own old leases.
func (tx *Tx) ReleaseLeases(ctx context.Context, owner string) (int64, error) {
	tx.Notify(TopicOperations)
	return tx.exec(ctx, "release leases of "+owner,
		`UPDATE operations SET state = ?, not_before = ?, lease_owner = NULL, lease_until = NULL, fence = fence + 1 WHERE state = ? AND lease_owner = ?`,
		OperationQueued, tx.now, OperationRunning, owner)
}

func (tx *Tx) fenced(ctx context.Context, f Fence, query string, args ...any) error {
	if err := tx.CheckFence(ctx, f); err != nil {
		return err
	}
	n, err := tx.exec(ctx, "update operation "+f.Operation, query, args...)
	return updated(n, err, "operation "+f.Operation)
}

// Operation returns the operation with that id, or ErrNotFound.
func (r Reader) Operation(ctx context.Context, id string) (*Operation, error) {
	o := new(Operation)
	err := r.db.NewSelect().Model(o).Where("id = ?", id).Scan(ctx)
	return o, notFound(err, "operation", id)
}

// Operations lists the cluster's operations, oldest first; every cluster's when it is empty.
func (r Reader) Operations(ctx context.Context, cluster string) ([]Operation, error) {
	var os []Operation
	q := r.db.NewSelect().Model(&os).OrderExpr("seq")
	if cluster != "" {
		q = q.Where("cluster_id = ?", cluster)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return os, nil
}

// NextDue returns when the next queued operation falls due or a lease runs out, and false when
// there is neither: how long a conductor may sleep between wake-ups. An operation that is due
// and could not be claimed waits for another of its cluster, whose end wakes.
func (r Reader) NextDue(ctx context.Context) (time.Time, bool, error) {
	var os []Operation
	err := r.db.NewSelect().Model(&os).Where("state = ? OR (state = ? AND not_before > ?)", OperationRunning, OperationQueued, time.Now().UTC()).Scan(ctx)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read the queue: %w", err)
	}
	var next time.Time
	for _, o := range os {
		t := o.NotBefore
		if o.State == OperationRunning {
			t = o.LeaseUntil
		}
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next, !next.IsZero(), nil
}
