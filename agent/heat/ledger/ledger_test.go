package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/notify"
)

func open(t *testing.T, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestAResultAndItsCredentialsAreForgottenWhenNothingIsLeftToTell(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	entry := ledger.Entry{ID: "d", Step: ledger.Finished, Telling: ledger.Pending, Target: notify.Target{
		Transport: notify.Heat, Credentials: keystone.Credentials{UserID: "u", Password: "hunter2-of-the-test"},
	}}
	if err := l.Finish(entry, []byte("result-of-the-test")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	got, known, err := l.Get("d")
	if err != nil || !known || got != entry {
		t.Errorf("%+v, %v, %v", got, known, err)
	}
	if result, err := l.Result("d"); err != nil || string(result) != "result-of-the-test" {
		t.Errorf("%s, %v", result, err)
	}
	entry.Telling = ledger.Settled
	if err := l.Put(entry); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := l.Get("d"); got.Target != (notify.Target{}) {
		t.Errorf("the target is still %+v", got.Target)
	}
	if _, err := l.Result("d"); err == nil {
		t.Error("the result is still there")
	}
	if info, err := os.Stat(filepath.Join(dir, "ledger.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOnlyWhatIsDoneAndLongGoneIsForgotten(t *testing.T) {
	l := open(t, t.TempDir())
	old, now := time.Now().Add(-200*24*time.Hour), time.Now()
	for _, entry := range []ledger.Entry{
		{ID: "gone", Step: ledger.Finished, Telling: ledger.Settled, Listed: old},
		{ID: "abandoned", Step: ledger.Started, Listed: old},
		{ID: "listed", Step: ledger.Finished, Telling: ledger.Settled, Listed: now},
		{ID: "untold", Step: ledger.Finished, Telling: ledger.Pending, Listed: old},
		{ID: "repeated", Step: ledger.Finished, Telling: ledger.Sent, Listed: old},
	} {
		if err := l.Put(entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Forget(now.Add(-90 * 24 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	all, err := l.All()
	var ids []string
	for _, entry := range all {
		ids = append(ids, entry.ID)
	}
	if err != nil || strings.Join(ids, " ") != "listed repeated untold" {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestTheStateDirectoryIsHeatConfigs(t *testing.T) {
	dir := t.TempDir()
	d := ledger.Deployed{Dir: filepath.Join(dir, "new"), Old: filepath.Join(dir, "old")}
	seen := func(id string, begun, ended bool) {
		t.Helper()
		if b, e := d.Seen(id); b != begun || e != ended {
			t.Errorf("%s: begun %v, ended %v", id, b, e)
		}
	}
	seen("d", false, false)
	if err := d.Mark("d", []byte(`{"id":"d"}`)); err != nil {
		t.Fatal(err)
	}
	seen("d", true, false)
	if err := d.Note("d", []byte(`{"deploy_status_code":0}`)); err != nil {
		t.Fatal(err)
	}
	seen("d", true, true)
	raw, err := os.ReadFile(filepath.Join(d.Dir, "d.json"))
	if err != nil || !bytes.Equal(raw, []byte("{\n  \"id\": \"d\"\n}")) {
		t.Errorf("%s, %v", raw, err)
	}
	if err := os.Rename(d.Dir, d.Old); err != nil {
		t.Fatal(err)
	}
	seen("d", true, true)
	if err := d.Mark("e", []byte("no JSON")); err == nil {
		t.Error("anything can be marked")
	}
}
