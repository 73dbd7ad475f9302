package apply

import (
	"slices"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

// step journals that a step is done, together with the signals that tell of it.
func (t *transition) step(step journal.Step, signals ...protocol.Signal) error {
	return t.commit(func(entry *journal.Entry) { entry.Step = step }, signals...)
}

// commit journals a change of the entry with the signals about it. What could not be written is
// not in the entry either, so that whoever tries again does not take it for done.
func (t *transition) commit(change func(*journal.Entry), signals ...protocol.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry := t.entry
	entry.Jobs, entry.TasksDone, entry.Reported = slices.Clone(entry.Jobs), slices.Clone(entry.TasksDone), slices.Clone(entry.Reported)
	change(&entry)
	t.stamp(&entry)
	for i := range signals {
		signals[i] = t.Reporter.Prepare(identified(signals[i]))
	}
	if err := t.Journal.Put(entry, signals...); err != nil {
		return err
	}
	t.entry = entry
	if len(signals) > 0 {
		t.Reporter.Queued()
	}
	return nil
}

// identified gives a signal an id that follows from what it tells: whoever tells the same again,
// because it cannot know whether it was written before an error, tells it once.
func identified(signal protocol.Signal) protocol.Signal {
	name := signal.PlanDigest + "\n" + signal.Deployment + "\n" + string(signal.Phase)
	signal.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
	return signal
}

// known returns the entry as it is now; tasks change it side by side.
func (t *transition) known() journal.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entry
}

func (t *transition) signal(phase protocol.Phase) protocol.Signal {
	entry := t.known()
	return protocol.Signal{Deployment: entry.Deployment, PlanDigest: entry.PlanDigest, Phase: phase}
}

func (t *transition) progress(phase protocol.Phase, progress protocol.Progress) {
	signal := t.signal(phase)
	signal.Progress = &progress
	t.Reporter.Progress(signal)
}
