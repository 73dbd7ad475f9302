package journal

import (
	"encoding/json"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/protocol"
)

// The bounds of the outbox, for a node whose control plane is away for days. Past them, what later
// signals have overtaken is dropped, the oldest first: observations, phases and beginnings whose
// outcome is in the outbox, and all but the newest refusals of what was none of this node's. If that
// is not enough, the longest texts go. A verdict is never dropped: their number is bounded by the
// plans and actions that came.
const (
	maxQueued      = 512
	maxQueuedBytes = 4 << 20
	// keptRefusals is how many refusals stay of what is no plan of this node: whoever may write a plan
	// file can make any number of them.
	keptRefusals = 16
)

// cutNote stands where a text was that had to go.
const cutNote = "(left out: the outbox was full)"

// bound brings the outbox within its bounds, as far as that loses nothing that counts.
func bound(bucket *bbolt.Bucket, most, bytes int) error {
	count, size := 0, 0
	if err := bucket.ForEach(func(_, raw []byte) error {
		count++
		size += len(raw)
		return nil
	}); err != nil {
		return err
	}
	if count <= most && size <= bytes {
		return nil
	}
	queued, err := read(bucket)
	if err != nil {
		return err
	}
	// Some room is made at once, so that not every signal of a full outbox has to look for it.
	most, bytes = most-most/4, bytes-bytes/4
	overtaken := overtakenOf(queued)
	for i, entry := range queued {
		if count <= most && size <= bytes {
			return nil
		}
		if !overtaken[i] {
			continue
		}
		size -= len(bucket.Get(sequence(entry.Sequence)))
		count--
		if err := bucket.Delete(sequence(entry.Sequence)); err != nil {
			return err
		}
	}
	for i, entry := range queued {
		if size <= bytes {
			return nil
		}
		if overtaken[i] || !shorten(&entry.Signal) {
			continue
		}
		raw, err := json.Marshal(entry.Signal)
		if err != nil {
			return err
		}
		size += len(raw) - len(bucket.Get(sequence(entry.Sequence)))
		if err := bucket.Put(sequence(entry.Sequence), raw); err != nil {
			return err
		}
	}
	return nil
}

// overtakenOf says which signals tell nothing any more that a later one does not.
func overtakenOf(queued []Queued) map[int]bool {
	out := map[int]bool{}
	observed, refusals := false, 0
	ended := map[string]bool{} // deployments and actions with a verdict further on
	for i := len(queued) - 1; i >= 0; i-- {
		signal := queued[i].Signal
		switch signal.Phase {
		case protocol.Observed:
			out[i] = observed
			observed = true
		case protocol.Refused:
			refusals++
			out[i] = refusals > keptRefusals
		case protocol.Acted:
			if signal.Action == nil {
				continue
			}
			key := "action/" + signal.Action.ID
			if signal.Action.Status == protocol.ActionStarted {
				out[i] = ended[key]
			} else {
				ended[key] = true
			}
		case protocol.Healthy, protocol.Failed, protocol.RolledBack:
			ended["deployment/"+signal.Deployment] = true
		default:
			out[i] = ended["deployment/"+signal.Deployment]
		}
	}
	return out
}

// shorten takes the long texts out of a signal, and is false when there are none.
func shorten(signal *protocol.Signal) bool {
	changed := false
	if len(signal.Log) > len(cutNote) {
		signal.Log, changed = cutNote, true
	}
	if signal.Action != nil && len(signal.Action.Output) > len(cutNote) {
		action := *signal.Action
		action.Output = cutNote
		signal.Action, changed = &action, true
	}
	return changed
}

// read returns all signals of the outbox, the oldest first.
func read(bucket *bbolt.Bucket) ([]Queued, error) {
	var out []Queued
	err := bucket.ForEach(func(key, raw []byte) error {
		entry := Queued{Sequence: number(key)}
		if err := json.Unmarshal(raw, &entry.Signal); err != nil {
			return err
		}
		out = append(out, entry)
		return nil
	})
	return out, err
}
