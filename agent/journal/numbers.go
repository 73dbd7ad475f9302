package journal

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/protocol"
)

// Numbers are the highest that the node has ever accepted. They only grow: a roll-back, a reboot
// and forgotten entries leave them as they are, so what is older can never be applied again.
type Numbers struct {
	Plan uint64 // generation
	Lock uint64
}

// numberBucket holds the numbers; what was accepted before it existed is in the entries.
const numberBucket = "numbers"

// Accept writes the entry of a plan that was accepted under a lock of that number, raises the
// numbers, and puts the signals into the outbox, all in one transaction.
func (j *Journal) Accept(entry Entry, lock uint64, signals ...protocol.Signal) error {
	return j.put(entry, func(tx *bbolt.Tx) error {
		if err := raise(tx, "plan", entry.Generation); err != nil {
			return err
		}
		return raise(tx, "lock", lock)
	}, signals)
}

func raise(tx *bbolt.Tx, name string, number uint64) error {
	bucket := tx.Bucket([]byte(numberBucket))
	if number <= numberOf(bucket.Get([]byte(name))) {
		return nil
	}
	return bucket.Put([]byte(name), sequence(number))
}

func numberOf(raw []byte) uint64 {
	if len(raw) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw)
}

// Numbers returns the highest numbers that were accepted, 0 for none.
func (j *Journal) Numbers() (Numbers, error) {
	var n Numbers
	err := j.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(numberBucket))
		n.Plan, n.Lock = numberOf(bucket.Get([]byte("plan"))), numberOf(bucket.Get([]byte("lock")))
		if last, _ := tx.Bucket([]byte(entryBucket)).Cursor().Last(); last != nil {
			n.Plan = max(n.Plan, numberOf(last))
		}
		return nil
	})
	if err != nil {
		return Numbers{}, fmt.Errorf("read the journal: %w", err)
	}
	return n, nil
}
