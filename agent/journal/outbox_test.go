package journal_test

import (
	"slices"
	"testing"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

func TestTheNewestTakesThePlaceOfThoseBeforeAndOfNothingElse(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, signal := range []protocol.Signal{
		{ID: "a", Phase: protocol.Joined}, {ID: "b", Deployment: "d", Phase: protocol.Observed}, {ID: "c", Deployment: "d", Phase: protocol.Staged},
	} {
		if err := j.Enqueue(signal); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"1", "2", "3"} {
		if err := j.EnqueueNewest(protocol.Signal{ID: id, Phase: protocol.Observed}); err != nil {
			t.Fatal(err)
		}
	}
	queued, err := j.Queue(10)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, q := range queued {
		ids = append(ids, q.Signal.ID)
	}
	if !slices.Equal(ids, []string{"a", "b", "c", "3"}) {
		t.Errorf("the outbox holds %v", ids)
	}
}
