package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"slipway.build/slipway/agent/protocol"
)

func TestASnapshotIsReadWhileTheAgentWrites(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	var writer sync.WaitGroup
	stop := make(chan struct{})
	var failed error
	var pause sync.Mutex
	put := func(i int) error {
		pause.Lock()
		defer pause.Unlock()
		entry := Entry{Generation: uint64(i%50) + 1, PlanDigest: fmt.Sprint(i), Step: Accepted}
		return j.Put(entry, protocol.Signal{ID: fmt.Sprint(i), Deployment: "d"})
	}
	for i := range 200 {
		if err := put(i); err != nil {
			t.Fatal(err)
		}
	}
	writer.Go(func() {
		for i := 200; failed == nil; i++ {
			select {
			case <-stop:
				return
			default:
				failed = put(i)
			}
		}
	})
	read := 0
	for tries := 0; tries < 30 || read == 0; tries++ {
		still := tries >= 30 // on a disk that is too fast to be read between two writes
		if still {
			pause.Lock()
		}
		s, err := Snapshot(dir)
		if still {
			pause.Unlock()
		}
		if errors.Is(err, errMoving) && !still {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		entries, err := s.Entries()
		if err != nil || len(entries) != 50 {
			t.Fatalf("%d entries, %v; want 50", len(entries), err)
		}
		queued, err := s.Queue(100000)
		if err != nil || len(queued) < 200 {
			t.Fatalf("%d signals, %v", len(queued), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		read++
	}
	close(stop)
	writer.Wait()
	if failed != nil {
		t.Fatalf("writer: %v", failed)
	}
}

func TestASnapshotOfNoJournalIsNotThere(t *testing.T) {
	if _, err := Snapshot(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that it does not exist", err)
	}
}
