package store

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func action(id string, number uint64, expires time.Time) *Action {
	return &Action{ID: id, ClusterID: "c", NodeID: "n", Number: number, Kind: "reboot", Arguments: json.RawMessage("{}"), Actor: "user:x", Envelope: []byte("e"), ExpiresAt: expires}
}

func TestPendingActionsAreThoseNotBegunInTheirOrder(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	s, _ := open(t, Options{Now: func() time.Time { return now }})
	do(t, s, func(ctx context.Context, tx *Tx) error {
		for i, lives := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour, time.Hour} {
			number, err := tx.NextActionNumber(ctx, "n")
			if err != nil {
				return err
			}
			if err := tx.InsertAction(ctx, action(fmt.Sprint(i), number, now.Add(lives))); err != nil {
				return err
			}
		}
		begun, err := tx.Action(ctx, "3")
		if err != nil {
			return err
		}
		begun.State, begun.StartedAt = ActionStarted, now
		return tx.UpdateAction(ctx, begun)
	})
	ids := func(as []Action, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, a := range as {
			out += a.ID
		}
		return out
	}
	if got := ids(s.PendingActions(t.Context(), "n", now)); got != "012" {
		t.Errorf("pending now: %s", got)
	}
	later := now.Add(time.Minute)
	if got := ids(s.PendingActions(t.Context(), "n", later)); got != "02" {
		t.Errorf("pending a minute later: %s", got)
	}
	if got := ids(s.OverdueActions(t.Context(), later)); got != "1" {
		t.Errorf("overdue a minute later: %s", got)
	}
	if at, found, err := s.NextExpiry(t.Context()); err != nil || !found || !at.Equal(later) {
		t.Errorf("the next expiry: %v %v %v", at, found, err)
	}
	if got := ids(s.Actions(t.Context(), "n", 3)); got != "321" {
		t.Errorf("the newest: %s", got)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.DeleteNode(ctx, "n") })
	if got := ids(s.Actions(t.Context(), "n", 3)); got != "" {
		t.Errorf("left of a node that is gone: %s", got)
	}
}

func TestOldEndedActionsAreDroppedAndNumbersGoOn(t *testing.T) {
	now := time.Now().UTC()
	s, _ := open(t, Options{})
	do(t, s, func(ctx context.Context, tx *Tx) error {
		for i := range keptActions + 20 {
			number, err := tx.NextActionNumber(ctx, "n")
			if err != nil || number != uint64(i+1) {
				return fmt.Errorf("number %d: %w", number, err)
			}
			a := action(fmt.Sprint(i), number, now.Add(time.Hour))
			if err := tx.InsertAction(ctx, a); err != nil {
				return err
			}
			if i == 0 {
				continue // still waits, so it stays
			}
			a.State, a.EndedAt = ActionDone, now
			if err := tx.UpdateAction(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
	all, err := s.Actions(t.Context(), "n", 1000)
	if err != nil || len(all) != keptActions+1 || all[len(all)-1].ID != "0" {
		t.Errorf("%d actions are kept, the oldest %s: %v", len(all), all[len(all)-1].ID, err)
	}
}
