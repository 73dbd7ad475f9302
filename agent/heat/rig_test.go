package heat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/hooks"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/testcloud"
)

// place is a node's directories below one of the test's, with short times.
func place(dir string) heat.Config {
	return heat.Config{
		StateDir: filepath.Join(dir, "state"), StatusFile: filepath.Join(dir, "run", "heat.json"),
		InitData: filepath.Join(dir, "cfn-init-data"), LocalData: filepath.Join(dir, "local-data"), Hint: filepath.Join(dir, "hint"),
		Cache:    cache.Cache{Dir: filepath.Join(dir, "occ"), Copy: filepath.Join(dir, "run-occ"), HeatConfig: filepath.Join(dir, "run-hc", "heat-config")},
		Deployed: ledger.Deployed{Dir: filepath.Join(dir, "deployed"), Old: filepath.Join(dir, "run-hc", "deployed")},
		Hooks: hooks.Runner{
			WorkDir: filepath.Join(dir, "work"), OutputsDir: filepath.Join(dir, "outputs"), LogDir: filepath.Join(dir, "log"),
			HookDirs: []string{filepath.Join(dir, "hooks")}, Timeout: time.Minute, Grace: time.Second,
		},
		MinPolling: 10 * time.Millisecond, Repeats: []time.Duration{time.Hour},
	}
}

// rig is a node with an agent in Heat mode, in this process, before a cloud.
type rig struct {
	t      *testing.T
	dir    string
	cloud  *testcloud.Cloud
	config heat.Config

	log    lockedBuffer
	cancel context.CancelFunc
	ended  chan error
}

type status = heat.Status

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newRig makes a node; its test runs beside others.
func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	r := &rig{t: t, dir: t.TempDir(), cloud: testcloud.New(t)}
	r.config = place(r.dir)
	t.Cleanup(r.stop)
	return r
}

// boot writes the first metadata, as user data does, with the section that Heat has at this time.
func (r *rig) boot(section map[string]any) {
	r.t.Helper()
	section["polling_interval"] = 1
	r.cloud.Set("os-collect-config", section)
	raw, err := json.Marshal(map[string]any{"deployments": []any{}, "os-collect-config": section})
	if err != nil {
		r.t.Fatal(err)
	}
	r.put("cfn-init-data", string(raw), 0o640)
}

func (r *rig) put(name, text string, mode os.FileMode) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.ended = cancel, make(chan error, 1)
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() { r.ended <- heat.Run(ctx, r.config, log) }()
}

func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("the agent ended: %v", err)
	}
	r.cancel = nil
}

func (r *rig) restart() {
	r.stop()
	r.start()
}

// read returns a file's content, "" when it is not there.
func (r *rig) read(name string) string {
	raw, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	return string(raw)
}

// runs counts how often a deployment's counting script has run.
func (r *rig) runs(id string) int { return strings.Count(r.read("ran-"+id), "x") }

// counting is a script that counts its runs, and does more.
func (r *rig) counting(id, more string) string {
	return "#!/bin/bash\necho x >> " + filepath.Join(r.dir, "ran-"+id) + "\n" + more
}

// await waits for something that the status file shows.
func (r *rig) await(what string, holds func(*heat.Status) bool) {
	r.t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for time.Now().Before(deadline) {
		if s, err := heat.ReadStatus(r.config.StatusFile); err == nil && holds(s) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("in vain waited for: %s\n%s\n%s", what, r.read("run/heat.json"), r.log.String())
}

// told waits until the signal of a deployment has this state.
func (r *rig) told(id string, telling ledger.Telling) {
	r.t.Helper()
	r.await(string(telling)+" for "+id, func(s *heat.Status) bool {
		for _, d := range s.Deployments {
			if d.ID == id {
				return d.Telling == telling
			}
		}
		return false
	})
}

// polled waits until the metadata was polled n times more.
func (r *rig) polled(kind string, n int) {
	r.t.Helper()
	from := r.cloud.Calls(kind)
	r.cloud.Await("polls", func() bool { return r.cloud.Calls(kind) >= from+n })
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
