package generation_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/protocol"
)

func TestTheNewestFailedPlanAloneIsKept(t *testing.T) {
	store := &generation.Store{Root: t.TempDir()}
	if _, _, err := store.Failed(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none is kept: %v", err)
	}
	for number, text := range map[uint64]string{9: "nine", 12: "twelve"} {
		if err := store.KeepFailed(number, protocol.Delivery{Envelope: []byte(text), PlanKeys: [][]byte{[]byte("a statement")}}); err != nil {
			t.Fatal(err)
		}
		got, delivery, err := store.Failed()
		if err != nil || got != number || string(delivery.Envelope) != text || delivery.PlanKeys != nil {
			t.Errorf("kept %d %+v, %v", got, delivery, err)
		}
	}
	// Whoever was cut off between the two steps left both; what is somebody else's stays.
	if err := store.KeepFailed(12, protocol.Delivery{Envelope: []byte("twelve")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"3.json", "README"} {
		if err := os.WriteFile(filepath.Join(store.Root, "failed", name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := store.Failed(); err != nil || got != 12 {
		t.Errorf("of two: %d, %v", got, err)
	}
	if err := store.DropFailed(func(number uint64) bool { return number > 12 }); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(store.Root, "failed"))
	if err != nil || len(left) != 1 || left[0].Name() != "README" {
		t.Errorf("left %v, %v", left, err)
	}
}
