package journal_test

import (
	"testing"

	"slipway.build/slipway/agent/journal"
)

func TestNumbersOnlyGrowWhateverIsForgotten(t *testing.T) {
	dir := t.TempDir()
	open := func() *journal.Journal {
		t.Helper()
		j, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	want := func(j *journal.Journal, want journal.Numbers) {
		t.Helper()
		if got, err := j.Numbers(); err != nil || got != want {
			t.Errorf("numbers %+v (%v), want %+v", got, err, want)
		}
	}
	j := open()
	want(j, journal.Numbers{})
	for _, accepted := range []struct{ plan, lock uint64 }{{1, 7}, {3, 9}, {4, 9}} {
		if err := j.Accept(journal.Entry{Generation: accepted.plan}, accepted.lock); err != nil {
			t.Fatal(err)
		}
	}
	want(j, journal.Numbers{Plan: 4, Lock: 9})
	if err := j.Drop([]uint64{1, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	defer func() { _ = j.Close() }()
	want(j, journal.Numbers{Plan: 4, Lock: 9})
	if err := j.Accept(journal.Entry{Generation: 2}, 3); err != nil {
		t.Fatal(err)
	}
	want(j, journal.Numbers{Plan: 4, Lock: 9})
	// An entry from before there were numbers counts, too.
	if err := j.Put(journal.Entry{Generation: 11}); err != nil {
		t.Fatal(err)
	}
	want(j, journal.Numbers{Plan: 11, Lock: 9})
}

func TestOwedRestartsAreKeptUntilTheyAreSettled(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	a, b := journal.Owed{Unit: "a", Certificate: "x", Fingerprint: "1"}, journal.Owed{Unit: "b", Certificate: "x", Fingerprint: "1"}
	newer := journal.Owed{Unit: "a", Certificate: "x", Fingerprint: "2"}
	for _, batch := range [][]journal.Owed{{a, b}, {newer}, nil} {
		if err := j.Owe(batch); err != nil {
			t.Fatal(err)
		}
	}
	owed, err := j.OwedRestarts()
	if err != nil || len(owed) != 2 || owed[0] != newer || owed[1] != b {
		t.Fatalf("owed %+v, %v", owed, err)
	}
	if units := journal.UnitsOf(owed); len(units) != 2 || units[0] != "a" {
		t.Errorf("units %v", units)
	}
	if err := j.Settle(owed[:1]); err != nil {
		t.Fatal(err)
	}
	if owed, err = j.OwedRestarts(); err != nil || len(owed) != 1 || owed[0] != b {
		t.Errorf("still owed %+v, %v", owed, err)
	}
}
