package act_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/agent/act"
	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/unitlog"
	"slipway.build/slipway/units/drive"
)

// current is a plan with one unit that runs and one that others start.
func current() (*plan.Plan, error) {
	return &plan.Plan{
		Units:        []plan.Unit{{Name: "slipway-a.service", Start: true}, {Name: "slipway-b.service"}},
		Certificates: []plan.Certificate{{Name: "one", Purpose: "client"}, {Name: "two", Purpose: "serving"}},
	}, nil
}

func job(arguments action.Arguments) act.Job {
	return act.Job{Request: &action.Request{ID: "the-action", Arguments: arguments}, Progress: func(protocol.Progress) {}}
}

func lastWords(context.Context, string, int) string { return "last words" }

func TestRestartOnlyRestartsWhatThePlanRuns(t *testing.T) {
	systemd := &drive.Fake{}
	systemd.Set("slipway-a.service", drive.State{Load: "loaded", Active: "active", Sub: "running"})
	doer := &act.Restart{Systemd: systemd, Current: current, Logs: lastWords}
	outcome, err := doer.Do(t.Context(), job(action.Arguments{Unit: "slipway-a.service"}))
	if err != nil || len(outcome.Results) != 1 || !strings.Contains(outcome.Results[0].Message, "active (running) again") {
		t.Errorf("%+v, %v", outcome, err)
	}
	if got := systemd.Actions(); len(got) != 1 || got[0] != "restart slipway-a.service" {
		t.Errorf("asked of systemd: %v", got)
	}
	for unit, want := range map[string]string{"slipway-b.service": "does not run", "slipway-c.service": "not in the current plan"} {
		systemd.Forget()
		if _, err := doer.Do(t.Context(), job(action.Arguments{Unit: unit})); err == nil || !strings.Contains(err.Error(), want) || len(systemd.Actions()) > 0 {
			t.Errorf("%s: %v, %v", unit, err, systemd.Actions())
		}
	}
	systemd.Decide(func(drive.Job) drive.State { return drive.State{Load: "loaded", Active: "failed", Sub: "failed"} })
	outcome, err = doer.Do(t.Context(), job(action.Arguments{Unit: "slipway-a.service"}))
	if err == nil || outcome.Log != "last words" {
		t.Errorf("a unit that fails: %+v, %v", outcome, err)
	}
}

func TestLogsAreOfThePlansUnitsAndTheAgentOnly(t *testing.T) {
	var asked []unitlog.Query
	doer := &act.UnitLogs{Current: current, Read: func(_ context.Context, q unitlog.Query) ([]unitlog.Line, error) {
		asked = append(asked, q)
		return []unitlog.Line{{By: "a", Message: "one"}, {By: "systemd", Message: "two"}}, nil
	}}
	for _, unit := range []string{"slipway-a.service", plan.AgentUnit} {
		outcome, err := doer.Do(t.Context(), job(action.Arguments{Unit: unit, Lines: 5}))
		if err != nil || !strings.Contains(outcome.Output, " a: one\n") || !strings.Contains(outcome.Output, " systemd: two\n") {
			t.Errorf("%s: %+v, %v", unit, outcome, err)
		}
	}
	if _, err := doer.Do(t.Context(), job(action.Arguments{Unit: "slipway-c.service", Lines: 5})); !fault.IsTerminal(err) {
		t.Errorf("a unit of no plan: %v", err)
	}
	if len(asked) != 2 || asked[0].Lines != 5 {
		t.Errorf("asked for %+v", asked)
	}
}

type renewer struct{ renewed []string }

func (r *renewer) Renew(_ context.Context, wanted []plan.Certificate) error {
	for _, c := range wanted {
		r.renewed = append(r.renewed, c.Name+" for "+c.Purpose)
	}
	return nil
}

func TestRenewTakesCertificatesOfThePlan(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{{nil, "one for client, two for serving"}, {[]string{"two"}, "two for serving"}} {
		made := &renewer{}
		outcome, err := (&act.Renew{Current: current, Certificates: made}).Do(t.Context(), job(action.Arguments{Certificates: c.names}))
		if got := strings.Join(made.renewed, ", "); err != nil || got != c.want || len(outcome.Results) != len(made.renewed) {
			t.Errorf("%v: renewed %s, %v", c.names, got, err)
		}
	}
	made := &renewer{}
	_, err := (&act.Renew{Current: current, Certificates: made}).Do(t.Context(), job(action.Arguments{Certificates: []string{"one", "three"}}))
	if !fault.IsTerminal(err) || len(made.renewed) > 0 {
		t.Errorf("a certificate of no plan: %v, %v", made.renewed, err)
	}
}

func TestPullFetchesAndVerifiesByTheSignedLock(t *testing.T) {
	image := testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: testimage.Content("alpha", 1<<16)}})
	registry := testimage.NewRegistry(t, nil, image)
	key, public := testimage.Key(t)
	lock, signature, digest := testimage.Lock(t, key, image)
	trusted := t.TempDir()
	if err := os.WriteFile(filepath.Join(trusted, "lock.pub"), public, 0o600); err != nil {
		t.Fatal(err)
	}
	store := &pull.Store{Dir: filepath.Join(t.TempDir(), "images")}
	doer := &act.Pull{Locks: &trust.Verifier{TrustDir: trusted}, Puller: &pull.Puller{Store: store, Client: pull.NewClient()}}
	arguments := action.Arguments{
		Images: []action.Image{{Name: "alpha", Repository: image.Locked.Repository, Digest: image.Platform().Manifest}},
		Lock:   digest, Registries: []string{registry.URL},
	}
	ask := func(lock, signature []byte, arguments action.Arguments) (act.Outcome, error) {
		var last protocol.Progress
		outcome, err := doer.Do(t.Context(), act.Job{
			Request: &action.Request{Arguments: arguments}, Delivery: protocol.ActionDelivery{LockBytes: lock, LockSignature: signature},
			Progress: func(p protocol.Progress) { last = p },
		})
		if err == nil && last.BytesDone != last.BytesTotal {
			t.Errorf("progress ends at %+v", last)
		}
		return outcome, err
	}
	spoilt := bytes.Clone(signature)
	spoilt[10] ^= 1
	foreign := arguments
	foreign.Images = []action.Image{{Name: "beta", Repository: "x", Digest: image.Platform().Manifest}}
	for name, c := range map[string]struct {
		lock, signature []byte
		arguments       action.Arguments
	}{
		"no lock": {nil, nil, arguments}, "a spoilt signature": {lock, spoilt, arguments}, "an image that is not in it": {lock, signature, foreign},
	} {
		if _, err := ask(c.lock, c.signature, c.arguments); !fault.IsTerminal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(store.Dir); err == nil && len(entries) > 0 {
		t.Errorf("refusals left %v", entries)
	}
	outcome, err := ask(lock, signature, arguments)
	if err != nil || !strings.Contains(outcome.Results[0].Message, "fetched and verified") {
		t.Fatalf("%+v, %v", outcome, err)
	}
	if record, err := store.Record(image.Platform().Manifest); err != nil || record.Name != "alpha" {
		t.Errorf("in the store: %+v, %v", record, err)
	}
	if outcome, err = ask(lock, signature, arguments); err != nil || !strings.Contains(outcome.Results[0].Message, "is here already") {
		t.Errorf("once more: %+v, %v", outcome, err)
	}
}

func TestCheckTellsWhatItFindsAndWhatItCannotCheck(t *testing.T) {
	doer := &act.Check{Checkers: map[action.CheckName]act.Checker{
		action.CheckDisk: func(context.Context) ([]protocol.ActionResult, error) {
			return []protocol.ActionResult{{Name: "space", Status: protocol.ResultTrouble, Message: "full"}}, nil
		},
		action.CheckClock: func(context.Context) ([]protocol.ActionResult, error) { return nil, errors.New("no clock") },
	}}
	outcome, err := doer.Do(t.Context(), job(action.Arguments{Checks: []action.CheckName{action.CheckDisk, action.CheckClock, action.CheckEtcd}}))
	want := []protocol.ActionResult{
		{Name: "disk: space", Status: protocol.ResultTrouble, Message: "full"},
		{Name: "clock", Status: protocol.ResultUnknown, Message: "no clock"},
		{Name: "etcd", Status: protocol.ResultUnknown, Message: "this agent cannot check it"},
	}
	if err != nil || len(outcome.Results) != len(want) {
		t.Fatalf("%+v, %v", outcome, err)
	}
	for i := range want {
		if outcome.Results[i] != want[i] {
			t.Errorf("result %d: %+v, want %+v", i, outcome.Results[i], want[i])
		}
	}
}

// uploader takes an archive after some faults.
type uploader struct {
	faults []error
	got    []byte
}

func (u *uploader) Archive(_ context.Context, _ string, size int64, content io.Reader) error {
	raw, err := io.ReadAll(content)
	if err != nil || int64(len(raw)) != size {
		return fault.Terminalf("%d bytes, not %d: %w", len(raw), size, err)
	}
	if len(u.faults) > 0 {
		err := u.faults[0]
		u.faults = u.faults[1:]
		return err
	}
	u.got = raw
	return nil
}

func TestBundleDeliversTheArchiveWholeAndLeavesNothing(t *testing.T) {
	content := bytes.Repeat([]byte("archive"), 1000)
	for _, c := range []struct {
		name    string
		collect func(context.Context, io.Writer) error
		faults  []error
		good    bool
	}{
		{"at once", func(_ context.Context, w io.Writer) error { _, err := w.Write(content); return err }, nil, true},
		{"after a fault", func(_ context.Context, w io.Writer) error { _, err := w.Write(content); return err }, []error{fault.Retriablef("away")}, true},
		{"refused", func(_ context.Context, w io.Writer) error { _, err := w.Write(content); return err }, []error{fault.Terminalf("no")}, false},
		{"not collected", func(context.Context, io.Writer) error { return errors.New("no") }, nil, false},
		{"too large", func(_ context.Context, w io.Writer) error {
			chunk := make([]byte, 1<<20)
			for range protocol.MaxArchive>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return err
				}
			}
			return nil
		}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, upload := t.TempDir(), &uploader{faults: c.faults}
			_, err := (&act.Bundle{Collect: c.collect, Upload: upload, Dir: dir}).Do(t.Context(), job(action.Arguments{}))
			if (err == nil) != c.good || c.good != bytes.Equal(upload.got, content) {
				t.Errorf("%d bytes came, %v", len(upload.got), err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestRebootAsksSystemdAndNeverSucceeds(t *testing.T) {
	systemd := &drive.Fake{}
	flushed := false
	ctx, cancel := context.WithCancel(t.Context())
	systemd.Decide(func(drive.Job) drive.State { cancel(); return drive.State{Active: "activating"} })
	_, err := (&act.Reboot{Systemd: systemd, Flush: func(context.Context) error { flushed = true; return errors.New("away") }}).Do(ctx, job(action.Arguments{}))
	if err == nil || !flushed {
		t.Errorf("%v, flushed %v", err, flushed)
	}
	if got := systemd.Actions(); len(got) != 1 || got[0] != "start reboot.target" {
		t.Errorf("asked of systemd: %v", got)
	}
}
