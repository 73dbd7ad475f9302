package buildcache

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestWhoWaitsForAnotherEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Exclusive(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Exclusive(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	unlock()
}
