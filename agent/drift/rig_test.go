package drift

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/turn"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/units/drive"
)

// rig is a guarded generation on a real disk, with real events and a fake systemd.
type rig struct {
	t        *testing.T
	guard    *Guard
	store    *generation.Store
	systemd  *drive.Fake
	registry *testimage.Registry
	image    *testimage.Image
	content  []byte
	puller   *pull.Puller

	ahead   atomic.Int64 // of the guard's clock, in nanoseconds
	mu      sync.Mutex
	told    []protocol.Condition // at once
	entries []journal.Entry
}

func (r *rig) Set(conditions ...protocol.Condition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, conditions...)
}

func (r *rig) Entries() ([]journal.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]journal.Entry(nil), r.entries...), nil
}

func (r *rig) Filled() (map[string]bool, error) { return nil, nil }

// proof is a Trust that believes the deliveries that the test staged.
type proof map[string]*trust.Checked

func (p proof) Recheck(delivery protocol.Delivery, digest string) (*trust.Checked, error) {
	if checked := p[digest]; checked != nil && string(delivery.Envelope) == `"`+digest+`"` {
		return checked, nil
	}
	return nil, errors.New("the delivery is not the one that was accepted")
}

const (
	alpha = "slipway-alpha.service"
	beta  = "slipway-beta.service"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRig(t *testing.T, policies *plan.Drift) *rig {
	t.Helper()
	root := t.TempDir()
	r := &rig{t: t, systemd: &drive.Fake{}, content: testimage.Content("alpha", 1<<16)}
	r.image = testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: r.content}})
	r.registry = testimage.NewRegistry(t, nil, r.image)
	r.store = &generation.Store{Root: root, Images: &pull.Store{Dir: filepath.Join(root, "images")}}
	r.puller = &pull.Puller{Store: r.store.Images, Client: pull.NewClient()}
	proofs := proof{}
	for _, number := range []uint64{1, 2} {
		r.stage(number, policies, proofs)
	}
	r.guard = &Guard{
		Generations: r.store, Journal: r, Trust: proofs, Systemd: r.systemd, Turn: new(turn.Turn), Board: r,
		Pull: func(ctx context.Context, wants []pull.Want, registries []string) error {
			return r.puller.Pull(ctx, wants, registries, nil)
		},
		PKI: filepath.Join(root, "pki"), Secrets: filepath.Join(root, "secrets"),
		Owner: func(string) (int, error) { return os.Geteuid(), nil }, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.guard.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the guard ended with %v", err)
		}
	})
	r.eventually("the generation is guarded", func() bool { return r.now().Status == "False" })
	return r
}

// stage makes a generation with two units, and makes it current.
func (r *rig) stage(number uint64, policies *plan.Drift, proofs proof) {
	r.t.Helper()
	p := &plan.Plan{
		Generation: number, Registries: []string{r.registry.URL}, Drift: policies,
		Images:       []plan.Image{{Name: "alpha", Repository: r.image.Locked.Repository, Digest: r.image.Platform().Manifest}},
		Certificates: []plan.Certificate{{Name: "pair", Purpose: "serving", Owner: "somebody"}},
		Files:        []plan.File{{Path: "b/config", Mode: "0444", Content: "as planned\n"}},
		Units: []plan.Unit{
			{Name: alpha, Text: "[Service]\n", Start: true, Exec: &plan.Exec{Image: "alpha", Binary: "usr/bin/alpha"}},
			{Name: beta, Text: "[Service]\nExecStart=/x " + plan.Current + "/files/b/config\n", Start: true},
		},
	}
	digest, err := p.Digest()
	must(r.t, err)
	checked := &trust.Checked{Plan: p, Digest: digest, Lock: &lock.Lock{Images: []lock.Image{r.image.Locked}},
		Platforms: map[string]*lock.Platform{"alpha": r.image.Platform()}}
	proofs[digest] = checked
	want := pull.Want{Name: "alpha", Repository: r.image.Locked.Repository, Manifest: r.image.Platform().Manifest, Locked: r.image.Platform(), Root: true}
	must(r.t, r.puller.Pull(r.t.Context(), []pull.Want{want}, p.Registries, nil))
	must(r.t, r.store.Stage(checked, protocol.Delivery{Envelope: []byte(`"` + digest + `"`)}, nil))
	must(r.t, r.store.Switch(number))
	for name, mode := range map[string]os.FileMode{"tls.key": 0o400, "tls.crt": 0o444} {
		path := filepath.Join(r.store.Root, "pki/pair", name)
		must(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(r.t, os.RemoveAll(path))
		must(r.t, os.WriteFile(path, []byte(name), mode))
	}
	r.entries = append(r.entries, journal.Entry{Generation: number, PlanDigest: digest, Step: journal.Confirmed})
}

// current is a path in the guarded generation.
func (r *rig) current(name string) string { return filepath.Join(r.store.Dir(2), name) }

func (r *rig) binary() string {
	return filepath.Join(r.store.Images.Root(r.image.Platform().Manifest), "usr/bin/alpha")
}

// now is the condition as whoever looks sees it.
func (r *rig) now() protocol.Condition {
	if all := r.guard.Look(r.t.Context()); len(all) > 0 {
		return all[0]
	}
	return protocol.Condition{}
}

// eventually waits for a condition; how long is no part of what is tested.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it does not happen: %s; condition %+v", what, r.now())
		}
	}
}

// is reports whether a file is there with that content and mode.
func is(path, content string, mode os.FileMode) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != mode {
		return false
	}
	raw, err := os.ReadFile(path)
	return err == nil && string(raw) == content
}

func (r *rig) aside() []string {
	entries, _ := os.ReadDir(filepath.Join(r.store.Root, "quarantine"))
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// later moves the guard's clock on, so that earlier repairs do not count.
func (r *rig) later() { r.ahead.Add(int64(window)) }
