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

func TestThoseWhoShareALockKeepOutWhoWantsItAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := Shared(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Shared(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	one()
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("while one has it: %v", err)
	}
	two()
	alone, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Shared(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("while who wants it alone has it: %v", err)
	}
	alone()
}
