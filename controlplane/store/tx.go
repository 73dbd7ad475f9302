package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"slipway.build/slipway/controlplane/fault"
)

// Tx is one transaction: Reader's methods and all that write.
type Tx struct {
	Reader
	now    time.Time
	topics []string
}

// Now is the time of the transaction, in UTC and whole microseconds.
func (tx *Tx) Now() time.Time { return tx.now }

// Notify wakes the subscribers of the topics once the transaction is committed.
func (tx *Tx) Notify(topics ...string) { tx.topics = append(tx.topics, topics...) }

// insert adds one row or a slice of rows.
func (tx *Tx) insert(ctx context.Context, what string, model any) error {
	if _, err := tx.db.NewInsert().Model(model).Returning("NULL").Exec(ctx); err != nil {
		return fmt.Errorf("insert %s: %w", what, err)
	}
	return nil
}

// insertRows bounds how many rows one INSERT carries, so that its text stays small.
const insertRows = 200

// insertAll adds rows in their order.
func insertAll[T any](ctx context.Context, tx *Tx, what string, rows []T, on string) error {
	for part := range slices.Chunk(rows, insertRows) {
		q := tx.db.NewInsert().Model(&part).Returning("NULL")
		if on != "" {
			q = q.On(on)
		}
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("insert %s: %w", what, err)
		}
	}
	return nil
}

// exec runs a statement and returns the number of rows that it changed.
func (tx *Tx) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	res, err := tx.db.NewRaw(query, args...).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return affected(res), nil
}

// updated demands that an update has met exactly one row.
func updated(n int64, err error, what string) error {
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("update %s: %w", what, ErrNotFound)
	}
	return nil
}

func affected(res sql.Result) int64 {
	n, err := res.RowsAffected()
	if err != nil {
		return 0 // neither of the supported drivers fails here
	}
	return n
}

// updateModel writes all columns of a row that is found by where.
func (tx *Tx) updateModel(ctx context.Context, what string, model any, exclude []string, where string, args ...any) error {
	q := tx.db.NewUpdate().Model(model).ExcludeColumn(exclude...).Where(where, args...)
	res, err := q.Exec(ctx)
	if err != nil {
		return fmt.Errorf("update %s: %w", what, err)
	}
	return updated(affected(res), nil, what)
}

func conflict(format string, a ...any) error { return fault.Conflictf(format, a...) }
