package serve

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

// tended returns the statements of a directory that are kept up to date until the test ends.
func tended(t *testing.T, dir string) *lockKeys {
	t.Helper()
	k, err := openLockKeys(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); k.tend(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := k.close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// write puts a signed statement into the directory as `slipway images keys` does.
func write(t *testing.T, dir string, number int64) {
	t.Helper()
	key, err := sign.LocalKey(filepath.Join(filepath.Dir(dir), "private"))
	if err != nil {
		t.Fatal(err)
	}
	statement, signature, err := key.SignKeys(&lock.KeyStatement{Schema: lock.KeysSchema, Number: number, Issued: "2026-11-21T00:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, fmt.Sprintf("%06d.json", number))
	for name, content := range map[string][]byte{file + ".sig": signature, file: statement} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func awaitStatements(t *testing.T, k *lockKeys, want int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for len(k.Statements()) != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("there are %d statements, want %d", len(k.Statements()), want)
		}
	}
}

func TestStatementsOfLockKeysAreTakenInWithoutARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k := tended(t, dir)
	if got := k.Statements(); len(got) != 0 {
		t.Fatalf("%d statements in a new directory", len(got))
	}
	write(t, dir, 2)
	awaitStatements(t, k, 1)
	write(t, dir, 1)
	awaitStatements(t, k, 2)
	for i, signed := range k.Statements() {
		statement, err := lock.ParseKeys(signed.Bytes)
		if err != nil || statement.Number != int64(i+1) || len(signed.Signature) == 0 {
			t.Errorf("statement %d is %+v: %v", i, statement, err)
		}
	}
}

func TestWhatIsNoStatementLeavesThoseOfBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k := tended(t, dir)
	write(t, dir, 1)
	awaitStatements(t, k, 1)
	foreign := filepath.Join(dir, "note.json")
	if err := os.WriteFile(foreign, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, 2)
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	awaitStatements(t, k, 2)
}

func TestADirectoryOfStatementsThatCannotBeReadIsNotServed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "000001.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openLockKeys(dir, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("opened")
	}
}
