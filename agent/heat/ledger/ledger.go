package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/database"
	"slipway.build/slipway/agent/heat/notify"
)

// Step is how far the agent is with running a deployment.
type Step string

// Steps, in their order.
const (
	Accepted Step = "accepted" // known; nothing of it has been run
	Started  Step = "started"  // it may have been run, wholly or in part
	Finished Step = "finished" // it ended, and its result is kept until Heat has it
)

// Telling is how far the agent is with telling Heat of the result.
type Telling string

// Tellings. Pending and Accepted are work to do; the others end it.
const (
	Nothing    Telling = ""           // there is nobody to tell
	Pending    Telling = "pending"    // not accepted yet
	Sent       Telling = "sent"       // accepted, and to be repeated: that only says that it arrived
	Settled    Telling = "settled"    // accepted, and repeated as often as it is worth
	Superseded Telling = "superseded" // Heat has a newer configuration for the same resource
	Refused    Telling = "refused"    // refused for so long that it is given up
)

// Entry is what is known about one deployment.
type Entry struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Group    string `json:"group,omitempty"`
	Resource string `json:"resource,omitempty"` // the deployment resource, in Stack
	Stack    string `json:"stack,omitempty"`

	Step  Step      `json:"step"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended,omitzero"`
	// Failed and Reason are what the result says, in words for a person.
	Failed bool   `json:"failed,omitempty"`
	Reason string `json:"reason,omitempty"`

	Telling  Telling       `json:"telling,omitempty"`
	Target   notify.Target `json:"target,omitzero"` // has credentials
	SentAt   time.Time     `json:"sentAt,omitzero"` // the last time
	Repeated int           `json:"repeated,omitempty"`
	// Listed is when the deployment was last seen in the metadata, to the day.
	Listed time.Time `json:"listed,omitzero"`
}

// Open says whether something is left to tell.
func (e Entry) Open() bool { return e.Telling == Pending || e.Telling == Sent }

const (
	entryBucket  = "deployments"
	resultBucket = "results"
)

// Ledger is the open file.
type Ledger struct{ db *bbolt.DB }

// Open opens the ledger in dir, and makes both when they are not there. The file has credentials
// and results in it: mode 0600.
func Open(dir string) (*Ledger, error) {
	db, err := database.Open(dir, "ledger", entryBucket, resultBucket)
	if err != nil {
		return nil, err
	}
	return &Ledger{db: db}, nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.db.Close() }

// Put writes an entry durably. Once there is nothing left to tell, its result and its
// credentials are forgotten.
func (l *Ledger) Put(entry Entry) error { return l.put(entry, nil) }

// Finish writes an entry and its result, the body of the signal, in one transaction.
func (l *Ledger) Finish(entry Entry, result []byte) error { return l.put(entry, result) }

func (l *Ledger) put(entry Entry, result []byte) error {
	if entry.Step == Finished && !entry.Open() {
		entry.Target = notify.Target{}
	}
	raw, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	err = l.db.Update(func(tx *bbolt.Tx) error {
		results := tx.Bucket([]byte(resultBucket))
		switch {
		case entry.Step == Finished && !entry.Open():
			err = results.Delete([]byte(entry.ID))
		case result != nil:
			err = results.Put([]byte(entry.ID), result)
		}
		if err != nil {
			return err
		}
		return tx.Bucket([]byte(entryBucket)).Put([]byte(entry.ID), raw)
	})
	if err != nil {
		return fmt.Errorf("write down that deployment %s is %s: %w", entry.ID, entry.Step, err)
	}
	return nil
}

// Get returns the entry of a deployment, and whether there is one.
func (l *Ledger) Get(id string) (Entry, bool, error) {
	var entry Entry
	found := false
	err := l.db.View(func(tx *bbolt.Tx) error {
		raw := tx.Bucket([]byte(entryBucket)).Get([]byte(id))
		if found = raw != nil; !found {
			return nil
		}
		return json.Unmarshal(raw, &entry)
	})
	if err != nil {
		return entry, false, fmt.Errorf("look up deployment %s: %w", id, err)
	}
	return entry, found, nil
}

// Result returns the result of a finished deployment that is still to be told.
func (l *Ledger) Result(id string) ([]byte, error) {
	var out []byte
	err := l.db.View(func(tx *bbolt.Tx) error {
		out = append(out, tx.Bucket([]byte(resultBucket)).Get([]byte(id))...)
		return nil
	})
	if err == nil && out == nil {
		err = errors.New("it is not kept any more")
	}
	if err != nil {
		return nil, fmt.Errorf("look up the result of deployment %s: %w", id, err)
	}
	return out, nil
}

// All returns all entries, by id.
func (l *Ledger) All() ([]Entry, error) {
	var out []Entry
	err := l.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(entryBucket)).ForEach(func(_, raw []byte) error {
			var entry Entry
			if err := json.Unmarshal(raw, &entry); err != nil {
				return err
			}
			out = append(out, entry)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return out, nil
}

// Forget drops entries of which nothing is left to tell and that were last listed before then.
// The state directory still says that they were run.
func (l *Ledger) Forget(before time.Time) error {
	all, err := l.All()
	if err != nil {
		return err
	}
	var ids []string
	for _, entry := range all {
		if !entry.Open() && entry.Listed.Before(before) {
			ids = append(ids, entry.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	err = l.db.Update(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			if err := tx.Bucket([]byte(entryBucket)).Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget old deployments: %w", err)
	}
	return nil
}
