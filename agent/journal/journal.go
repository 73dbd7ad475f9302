package journal

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/database"
	"slipway.build/slipway/agent/protocol"
)

// Step is how far the agent is with a plan. Steps follow each other in this order.
type Step string

// Steps of applying a plan.
const (
	Accepted  Step = "accepted"  // verified; nothing of it is on disk yet
	Staged    Step = "staged"    // the generation's directory is complete and durable
	Switched  Step = "switched"  // current points to it; jobs may be outstanding
	Settled   Step = "settled"   // its units are healthy; they have to stay so for a while
	Confirmed Step = "confirmed" // its units were healthy, and stayed so
	Returning Step = "returning" // it failed, and the generation before is being restored
	Abandoned Step = "abandoned" // it failed; what was before it runs again, if there was something
)

// Entry is what is known about one generation.
type Entry struct {
	Generation uint64    `json:"generation"`
	PlanDigest string    `json:"planDigest"`
	Deployment string    `json:"deployment"`
	Step       Step      `json:"step"`
	Began      time.Time `json:"began"` // by the wall clock; for people, who may have set it since
	// Spent is how long was worked on it until Mark, a time since the boot named Boot: what the
	// plan's deadline counts, however the wall clock is set.
	Spent time.Duration `json:"spent,omitempty"`
	Boot  string        `json:"boot,omitempty"`
	Mark  time.Duration `json:"mark,omitempty"`
	// Previous is the generation that ran before, 0 for none.
	Previous uint64 `json:"previous,omitempty"`
	// Fallback is the newest confirmed generation before this one, 0 for none: Previous, or what
	// Previous itself would have gone back to.
	Fallback uint64 `json:"fallback,omitempty"`
	// Target is, in the step Returning, the generation to go back to.
	Target uint64 `json:"target,omitempty"`
	// Undo says, in the step Returning, that the switch had happened.
	Undo bool `json:"undo,omitempty"`
	// Jobs are what is still to be asked of systemd after the switch; the list shrinks.
	Jobs []Job `json:"jobs,omitempty"`
	// TasksDone names the tasks of the plan that are done.
	TasksDone []string `json:"tasksDone,omitempty"`
	// Outputs are what these tasks found out, by task and name.
	Outputs map[string]map[string]string `json:"outputs,omitempty"`
	// Further names the deployments beside the node's own that tasks of the plan report to.
	Further []string `json:"further,omitempty"`
	// Reported names those of Further whose end was reported.
	Reported []string `json:"reported,omitempty"`
	// Reason says why an abandoned generation failed.
	Reason string `json:"reason,omitempty"`
	// Log holds the last lines of the unit that made it fail.
	Log string `json:"log,omitempty"`
	// Actor is who gave the generation up when the agent did not do so by itself.
	Actor string `json:"actor,omitempty"`
}

// Job is one outstanding action on a unit.
type Job struct {
	Unit   string `json:"unit"`
	Action string `json:"action"`
}

// Buckets of the file.
const (
	entryBucket  = "entries"
	filledBucket = "filled"
	outboxBucket = "outbox"
)

// Journal is the open file.
type Journal struct{ db *bbolt.DB }

// Open opens the journal in dir, and makes both when they are not there.
func Open(dir string) (*Journal, error) {
	db, err := database.Open(dir, "journal", entryBucket, filledBucket, outboxBucket, numberBucket, restartBucket)
	if err != nil {
		return nil, err
	}
	return &Journal{db: db}, nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.db.Close() }

// Put writes an entry durably and, in the same transaction, puts the signals about it into the
// outbox: a step is never known here and unknown to the control plane.
func (j *Journal) Put(entry Entry, signals ...protocol.Signal) error {
	return j.put(entry, func(*bbolt.Tx) error { return nil }, signals)
}

func (j *Journal) put(entry Entry, more func(*bbolt.Tx) error, signals []protocol.Signal) error {
	raw, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	err = j.db.Update(func(tx *bbolt.Tx) error {
		if err := more(tx); err != nil {
			return err
		}
		if err := tx.Bucket([]byte(entryBucket)).Put(sequence(entry.Generation), raw); err != nil {
			return err
		}
		for _, signal := range signals {
			if err := enqueue(tx, signal); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal generation %d as %s: %w", entry.Generation, entry.Step, err)
	}
	return nil
}

// Entries returns all entries by generation, ascending.
func (j *Journal) Entries() ([]Entry, error) {
	var out []Entry
	err := j.db.View(func(tx *bbolt.Tx) error {
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
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return out, nil
}

// Drop forgets the entries of these generations.
func (j *Journal) Drop(generations []uint64) error {
	if len(generations) == 0 {
		return nil
	}
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, generation := range generations {
			if err := tx.Bucket([]byte(entryBucket)).Delete(sequence(generation)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget generations %v in the journal: %w", generations, err)
	}
	return nil
}

// MarkFilled remembers that state directories were filled by healthy components.
func (j *Journal) MarkFilled(dirs []string) error {
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, dir := range dirs {
			if err := tx.Bucket([]byte(filledBucket)).Put([]byte(dir), []byte{1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal filled state directories: %w", err)
	}
	return nil
}

// Filled returns the state directories that were filled once.
func (j *Journal) Filled() (map[string]bool, error) {
	out := map[string]bool{}
	err := j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(filledBucket)).ForEach(func(dir, _ []byte) error {
			out[string(dir)] = true
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return out, nil
}
