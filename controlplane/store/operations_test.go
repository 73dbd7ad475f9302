package store

import (
	"context"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/fault"
)

func enqueue(t *testing.T, s *Store, cluster, kind string, preempts bool) string {
	t.Helper()
	o := &Operation{ClusterID: cluster, Kind: kind, Actor: "u", Preempts: preempts}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.Enqueue(ctx, o) })
	return o.ID
}

func claim(t *testing.T, s *Store, owner string) *Operation {
	t.Helper()
	var o *Operation
	do(t, s, func(ctx context.Context, tx *Tx) (err error) {
		o, err = tx.ClaimOperation(ctx, owner, time.Minute)
		return err
	})
	return o
}

func check(s *Store, f Fence) error {
	return s.Tx(context.Background(), func(ctx context.Context, tx *Tx) error { return tx.CheckFence(ctx, f) })
}

func TestOperationsOfAClusterRunOneAfterTheOther(t *testing.T) {
	s, _ := open(t, Options{})
	first, second, other := enqueue(t, s, "a", "create", false), enqueue(t, s, "a", "resize", false), enqueue(t, s, "b", "create", false)
	one, two := claim(t, s, "w1"), claim(t, s, "w2")
	if one.ID != first || two.ID != other {
		t.Fatalf("claimed %s and %s, want %s and %s", one.ID, two.ID, first, other)
	}
	if o := claim(t, s, "w3"); o != nil {
		t.Fatalf("claimed %s while the cluster is busy", o.ID)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.FinishOperation(ctx, one.Fence(), "") })
	if o := claim(t, s, "w1"); o == nil || o.ID != second {
		t.Fatalf("claimed %v, want %s", o, second)
	}
	if err := check(s, one.Fence()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a finished operation may still write: %v", err)
	}
}

func TestPreemptingOperationTakesTheRightToWriteFromWhatRuns(t *testing.T) {
	s, _ := open(t, Options{})
	enqueue(t, s, "a", "create", false)
	create := claim(t, s, "w1")
	waiting := enqueue(t, s, "a", "resize", false)
	enqueue(t, s, "a", "delete", true)
	again := enqueue(t, s, "a", "delete", true)
	del := claim(t, s, "w2")
	if del == nil || del.Kind != "delete" {
		t.Fatalf("claimed %+v", del)
	}
	if err := check(s, create.Fence()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the superseded create may still write: %v", err)
	}
	if err := check(s, del.Fence()); err != nil {
		t.Error(err)
	}
	if o, _ := s.Operation(t.Context(), waiting); o.State != OperationSuperseded {
		t.Errorf("the waiting resize is %s", o.State)
	}
	if o := claim(t, s, "w3"); o != nil {
		t.Errorf("claimed %s while a delete runs", o.Kind)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.FinishOperation(ctx, del.Fence(), "") })
	if o := claim(t, s, "w3"); o == nil || o.ID != again {
		t.Errorf("claimed %v, want the second delete", o)
	}
}

func TestLeaseThatRanOutIsClaimedUnderANewNumber(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	s, _ := open(t, Options{Now: func() time.Time { return now }})
	enqueue(t, s, "a", "create", false)
	old := claim(t, s, "dead")
	if due, ok, err := s.NextDue(t.Context()); err != nil || !ok || !due.Equal(now.Add(time.Minute)) {
		t.Errorf("next due %v %v %v", due, ok, err)
	}
	now = now.Add(30 * time.Second)
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.RenewOperation(ctx, old.Fence(), time.Minute) })
	now = now.Add(59 * time.Second)
	if o := claim(t, s, "w"); o != nil {
		t.Fatal("claimed under a living lease")
	}
	now = now.Add(2 * time.Second)
	o := claim(t, s, "w")
	if o == nil || o.FenceNumber <= old.FenceNumber || o.Attempts != 2 {
		t.Fatalf("claimed %+v", o)
	}
	if err := check(s, old.Fence()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the dead owner may still write: %v", err)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.ReleaseOperation(ctx, o.Fence(), time.Hour) })
	if o := claim(t, s, "w"); o != nil {
		t.Error("claimed before it was due")
	}
	now = now.Add(time.Hour)
	o = claim(t, s, "w")
	do(t, s, func(ctx context.Context, tx *Tx) error {
		n, err := tx.ReleaseLeases(ctx, "w")
		if n != 1 {
			t.Errorf("released %d leases", n)
		}
		return err
	})
	if err := check(s, o.Fence()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a released operation may still be written: %v", err)
	}
	if claim(t, s, "w") == nil {
		t.Error("a released operation cannot be claimed")
	}
}
