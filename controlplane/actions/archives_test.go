package actions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/store"
)

func TestOldArchivesAndThoseOfLostNodesAreSwept(t *testing.T) {
	a := &Archives{Dir: t.TempDir()}
	now := time.Now()
	put := func(node, id string, age time.Duration) *store.Action {
		t.Helper()
		row := &store.Action{ID: id, NodeID: node}
		if _, _, err := a.Put(row, strings.NewReader(id)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(a.path(row), now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return row
	}
	var rows []*store.Action
	for i := range keptArchives + 3 {
		rows = append(rows, put("here", fmt.Sprint(i), time.Duration(i)*time.Hour))
	}
	old := put("other", "old", archiveAge+time.Hour)
	lost := put("lost", "x", 0)
	half := filepath.Join(a.Dir, "other", "x-1.tmp")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(half, now.Add(-2*time.Hour), now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := a.Sweep(t.Context(), now, func(_ context.Context, node string) (bool, error) { return node != "lost", nil }); err != nil {
		t.Fatal(err)
	}
	here := func(row *store.Action) bool {
		file, err := a.Open(row)
		if err == nil {
			file.Close()
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		return err == nil
	}
	for i, row := range rows {
		if here(row) != (i < keptArchives) {
			t.Errorf("archive %d hours old: there %v", i, here(row))
		}
	}
	if here(old) || here(lost) {
		t.Error("an old archive or one of a lost node stays")
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was half written stays: %v", err)
	}
}
