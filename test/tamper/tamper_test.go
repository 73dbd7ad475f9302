package main

import "testing"

// TestEveryFlipIsRefused does a part of what `make test-tamper` does.
func TestEveryFlipIsRefused(t *testing.T) {
	const flips = 300
	c, err := tamper(t.Context(), t.TempDir(), flips, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.verdict(flips); err != nil {
		t.Error(err)
	}
	t.Log(c)
	if len(c.kinds) != 8 {
		t.Errorf("flips of %d kinds, want all 8: %v", len(c.kinds), c.byKind())
	}
}

func TestTheVerdictFails(t *testing.T) {
	good := outcome{applied: true, refused: true}
	for name, bad := range map[string]outcome{
		"when a flip was accepted":    {applied: true},
		"when a flip was not applied": {refused: true},
		"when something started":      {applied: true, refused: true, started: true},
		"when something was left":     {applied: true, refused: true, left: 1},
	} {
		c := newCounts()
		c.add("a", good)
		if err := c.verdict(1); err != nil {
			t.Error(err)
		}
		c.add("a", bad)
		if c.verdict(2) == nil {
			t.Errorf("no error %s", name)
		}
	}
}
