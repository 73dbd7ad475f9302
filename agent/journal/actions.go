package journal

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/protocol"
)

// ActionStep is how far the agent is with a remote action. Steps follow each other in this order.
type ActionStep string

// Steps of an action.
const (
	ActionAccepted ActionStep = "accepted" // verified; its turn has not come
	ActionBegun    ActionStep = "begun"    // it may have had effects
	ActionEnded    ActionStep = "ended"    // its answer is in the outbox
)

// ActionRecord is what is known about one action. It stays longer than the action itself, so that
// none is done twice.
type ActionRecord struct {
	ID     string     `json:"id"`
	Number uint64     `json:"number"`
	Digest string     `json:"digest"` // of the envelope
	Step   ActionStep `json:"step"`
	// Attempts counts how often it was begun.
	Attempts int `json:"attempts,omitempty"`
	// Boot is the boot in which it was begun last.
	Boot string `json:"boot,omitempty"`
	// Status is how it ended.
	Status protocol.ActionStatus `json:"status,omitempty"`
	Ended  time.Time             `json:"ended,omitzero"`
	// Delivery is the request as it came, until the action has ended.
	Delivery protocol.ActionDelivery `json:"delivery,omitzero"`
}

// keptActions is how many ended actions are remembered one by one. Of older ones the highest
// number is.
const keptActions = 256

// The bucket of actions, and the key in it under which the highest forgotten number is.
const (
	actionBucket = "actions"
	floorKey     = "floor"
)

// PutAction writes a record durably and, in the same transaction, puts the signals about it into
// the outbox.
func (j *Journal) PutAction(record ActionRecord, signals ...protocol.Signal) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return err
	}
	err = j.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(actionBucket))
		if err != nil {
			return err
		}
		if err := bucket.Put([]byte(record.ID), raw); err != nil {
			return err
		}
		for _, signal := range signals {
			if err := enqueue(tx, signal); err != nil {
				return err
			}
		}
		if record.Step == ActionEnded {
			return forgetActions(bucket)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal action %s as %s: %w", record.ID, record.Step, err)
	}
	return nil
}

// forgetActions drops the ended records with the lowest numbers beyond those that are kept.
func forgetActions(bucket *bbolt.Bucket) error {
	records, err := actionRecords(bucket)
	if err != nil {
		return err
	}
	ended := slices.DeleteFunc(records, func(r ActionRecord) bool { return r.Step != ActionEnded })
	if len(ended) <= keptActions {
		return nil
	}
	floor := floorOf(bucket)
	for _, record := range ended[:len(ended)-keptActions] {
		floor = max(floor, record.Number)
		if err := bucket.Delete([]byte(record.ID)); err != nil {
			return err
		}
	}
	return bucket.Put([]byte(floorKey), sequence(floor))
}

func actionRecords(bucket *bbolt.Bucket) ([]ActionRecord, error) {
	var records []ActionRecord
	err := bucket.ForEach(func(key, raw []byte) error {
		if string(key) == floorKey {
			return nil
		}
		var record ActionRecord
		if err := json.Unmarshal(raw, &record); err != nil {
			return err
		}
		records = append(records, record)
		return nil
	})
	slices.SortFunc(records, func(a, b ActionRecord) int { return cmp.Compare(a.Number, b.Number) })
	return records, err
}

func floorOf(bucket *bbolt.Bucket) uint64 {
	if raw := bucket.Get([]byte(floorKey)); len(raw) == 8 {
		return binary.BigEndian.Uint64(raw)
	}
	return 0
}

// Actions returns the records that are kept, by number, and the highest number of those that are
// not: a request with that number or a lower one, and without a record, is a replay.
func (j *Journal) Actions() (records []ActionRecord, floor uint64, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(actionBucket))
		if bucket == nil {
			return nil
		}
		floor = floorOf(bucket)
		records, err = actionRecords(bucket)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the journal of actions: %w", err)
	}
	return records, floor, nil
}

// ErrNoAction is returned for an action that has no record.
var ErrNoAction = errors.New("no such action in the journal")

// Action returns the record of an action, or ErrNoAction.
func (j *Journal) Action(id string) (ActionRecord, error) {
	var record ActionRecord
	err := j.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(actionBucket))
		if bucket == nil {
			return ErrNoAction
		}
		raw := bucket.Get([]byte(id))
		if raw == nil {
			return ErrNoAction
		}
		return json.Unmarshal(raw, &record)
	})
	if err != nil {
		return ActionRecord{}, fmt.Errorf("action %s: %w", id, err)
	}
	return record, nil
}
