package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	rows := make([]*store.Action, keptArchives+3)
	for i := range rows { // the oldest first
		age := len(rows) - 1 - i
		rows[age] = put("here", fmt.Sprint(age), time.Duration(age)*time.Hour)
	}
	if entries, err := os.ReadDir(filepath.Join(a.Dir, "here")); err != nil || len(entries) != keptArchives {
		t.Errorf("before a sweep there are %d archives (%v), want %d", len(entries), err, keptArchives)
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

// during calls do at the first read.
type during struct {
	io.Reader
	do func()
}

func (d *during) Read(p []byte) (int, error) {
	if do := d.do; do != nil {
		d.do = nil
		do()
	}
	return d.Reader.Read(p)
}

func TestANodeDeliversOneArchiveAtATime(t *testing.T) {
	a := &Archives{Dir: t.TempDir()}
	var busy, other error
	content := &during{strings.NewReader("first"), func() {
		_, _, busy = a.Put(&store.Action{ID: "2", NodeID: "n"}, strings.NewReader("second"))
		_, _, other = a.Put(&store.Action{ID: "3", NodeID: "m"}, strings.NewReader("third"))
	}}
	if _, _, err := a.Put(&store.Action{ID: "1", NodeID: "n"}, content); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(busy, ErrBusy) || other != nil {
		t.Errorf("while one comes: another of the node %v, one of another node %v", busy, other)
	}
	if _, _, err := a.Put(&store.Action{ID: "2", NodeID: "n"}, strings.NewReader("second")); err != nil {
		t.Errorf("after it came: %v", err)
	}
}
