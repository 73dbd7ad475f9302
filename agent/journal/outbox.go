package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/protocol"
)

// Queued is a signal in the outbox with its place in the order of writing.
type Queued struct {
	Sequence uint64
	Signal   protocol.Signal
}

// Enqueue writes a signal to the outbox durably.
func (j *Journal) Enqueue(signal protocol.Signal) error {
	if err := j.db.Update(func(tx *bbolt.Tx) error { return enqueue(tx, signal) }); err != nil {
		return fmt.Errorf("write signal %s of deployment %s to the outbox: %w", signal.Phase, signal.Deployment, err)
	}
	return nil
}

// EnqueueNewest writes a signal to the outbox durably in place of those of the same deployment
// and phase that are still there.
func (j *Journal) EnqueueNewest(signal protocol.Signal) error {
	err := j.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(outboxBucket))
		var older [][]byte
		err := bucket.ForEach(func(key, raw []byte) error {
			var queued protocol.Signal
			if err := json.Unmarshal(raw, &queued); err != nil {
				return err
			}
			if queued.Deployment == signal.Deployment && queued.Phase == signal.Phase {
				older = append(older, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range older {
			if err := bucket.Delete(key); err != nil {
				return err
			}
		}
		return enqueue(tx, signal)
	})
	if err != nil {
		return fmt.Errorf("write signal %s to the outbox: %w", signal.Phase, err)
	}
	return nil
}

func enqueue(tx *bbolt.Tx, signal protocol.Signal) error {
	raw, err := json.Marshal(signal)
	if err != nil {
		return err
	}
	bucket := tx.Bucket([]byte(outboxBucket))
	number, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	if err := bucket.Put(sequence(number), raw); err != nil {
		return err
	}
	return bound(bucket, maxQueued, maxQueuedBytes)
}

// queueBytes bounds what Queue returns at once, but for the first signal.
const queueBytes = 1 << 20

// Queue returns up to limit signals of the outbox, the oldest first, and about 1 MiB at most.
func (j *Journal) Queue(limit int) ([]Queued, error) {
	size := 0
	var out []Queued
	err := j.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket([]byte(outboxBucket)).Cursor()
		for key, raw := cursor.First(); key != nil && len(out) < limit; key, raw = cursor.Next() {
			if size += len(raw); size > queueBytes && len(out) > 0 {
				break
			}
			queued := Queued{Sequence: number(key)}
			if err := json.Unmarshal(raw, &queued.Signal); err != nil {
				return err
			}
			out = append(out, queued)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return out, nil
}

// Accepted removes signals that the receiver has.
func (j *Journal) Accepted(signals []Queued) error {
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, queued := range signals {
			if err := tx.Bucket([]byte(outboxBucket)).Delete(sequence(queued.Sequence)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear the outbox: %w", err)
	}
	return nil
}

func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func number(key []byte) uint64 { return binary.BigEndian.Uint64(key) }
