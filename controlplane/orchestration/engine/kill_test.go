package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
	"slipway.build/slipway/controlplane/orchestration/templates"
	"slipway.build/slipway/controlplane/store"
)

// errKilled is what a store says that was made to die.
var errKilled = errors.New("killed")

// killer makes a store die at its nth commit: before it is durable, or after.
type killer struct {
	mu    sync.Mutex
	n     int
	after bool
	dead  bool
}

func (k *killer) options() store.Options {
	hit := func(counts, dies bool) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if counts {
			k.n--
		}
		if k.n == 0 && dies {
			k.dead = true
			return errKilled
		}
		return nil
	}
	return store.Options{
		BeforeCommit: func() error { return hit(true, !k.after) },
		AfterCommit:  func() error { return hit(false, k.after) },
	}
}

// reclaim takes the operation over, as slipwayd does after a restart.
func (b *bench) reclaim() {
	b.t.Helper()
	err := b.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ReleaseLeases(ctx, "test"); err != nil {
			return err
		}
		o, err := tx.ClaimOperation(ctx, "test", time.Hour)
		if err == nil {
			b.fence = o.Fence()
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// oneHistory checks that the events tell of one undisturbed action.
func (b *bench) oneHistory(id, action string) {
	b.t.Helper()
	seen := map[string]int{}
	complete := 0
	for _, e := range b.events(id) {
		seen[e.StackID+"/"+e.ResourceName+" "+e.Status+" "+e.StatusReason]++
		if e.Status == action+"_COMPLETE" {
			complete++
		}
		if strings.HasSuffix(e.Status, "FAILED") || strings.Contains(e.StatusReason, "attempt") {
			b.t.Errorf("%s %s: %s", e.ResourceName, e.Status, e.StatusReason)
		}
	}
	for what, n := range seen {
		if n != 1 {
			b.t.Errorf("%d times: %s", n, what)
		}
	}
	rs, err := b.engine.Resources(context.Background(), id, 10)
	if err != nil {
		b.t.Fatal(err)
	}
	stacks := map[string]bool{}
	for _, r := range rs {
		stacks[r.StackID] = true
	}
	if complete != len(rs)+len(stacks) {
		b.t.Errorf("%d events of completion for %d resources in %d stacks", complete, len(rs), len(stacks))
	}
}

func TestCreationResumesAfterDyingAtAnyCommit(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			b := newBench(t, &fake.Cloud{}, engine.Options{})
			id := b.create(spec(cluster, nil))
			b.store.Close()
			k := &killer{n: n, after: after}
			b.open(engine.Options{}, k.options())
			_, err := b.engine.Run(t.Context(), id, b.fence)
			b.store.Close()
			if k.dead != errors.Is(err, errKilled) {
				t.Fatalf("dead %v, run said %v", k.dead, err)
			}
			b.open(engine.Options{}, store.Options{})
			b.reclaim()
			if res := b.run(id); res.Status != store.CreateComplete {
				t.Fatalf("killed at commit %d (after: %v): %+v", n, after, res)
			}
			if d := b.cloud.Doubles(); len(d) > 0 {
				t.Errorf("killed at commit %d (after: %v): made twice: %v", n, after, d)
			}
			b.oneHistory(id, "CREATE")
			b.store.Close()
			if t.Failed() {
				t.Fatalf("killed at commit %d (after: %v)", n, after)
			}
			if !k.dead {
				t.Logf("died at each of %d commits (after: %v)", n-1, after)
				if n < 5 {
					t.Fatal("hardly any commits: the test proves nothing")
				}
				break
			}
		}
	}
}

func TestCreationThatDiesAtEveryCommitStillEnds(t *testing.T) {
	b := newBench(t, &fake.Cloud{}, engine.Options{})
	id := b.create(spec(cluster, nil))
	b.store.Close()
	for deaths := 0; ; deaths++ {
		if deaths > 500 {
			t.Fatal("no end")
		}
		// The claim and two steps are committed, then it dies: a deployment needs two in one
		// life, its signal's event and its end.
		k := &killer{n: 3, after: true}
		b.open(engine.Options{}, k.options())
		b.reclaim()
		res, err := b.engine.Run(t.Context(), id, b.fence)
		b.store.Close()
		if err == nil {
			if res.Status != store.CreateComplete || deaths < 3 {
				t.Fatalf("%+v after %d deaths", res, deaths)
			}
			t.Logf("%d deaths", deaths)
			break
		}
	}
	b.open(engine.Options{}, store.Options{})
	if d := b.cloud.Doubles(); len(d) > 0 {
		t.Errorf("made twice: %v", d)
	}
	b.oneHistory(id, "CREATE")
}

func TestDeletionResumesAfterDyingAtAnyCommit(t *testing.T) {
	for n := 1; ; n++ {
		b := newBench(t, &fake.Cloud{}, engine.Options{})
		id := b.create(spec(cluster, nil))
		b.run(id)
		b.claim("delete", true)
		if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
			t.Fatal(err)
		}
		b.store.Close()
		k := &killer{n: n, after: n%2 == 0}
		b.open(engine.Options{}, k.options())
		_, _ = b.engine.Run(t.Context(), id, b.fence)
		b.store.Close()
		b.open(engine.Options{}, store.Options{})
		b.reclaim()
		if res := b.run(id); res.Status != store.DeleteComplete || len(b.cloud.Objects()) != 0 {
			t.Fatalf("killed at commit %d: %+v, left %v", n, res, b.cloud.Objects())
		}
		b.oneHistory(id, "DELETE")
		b.store.Close()
		if t.Failed() {
			t.Fatalf("killed at commit %d", n)
		}
		if !k.dead {
			break
		}
	}
}

func TestHalfMadeStackIsDeletedAfterDyingAtAnyCommit(t *testing.T) {
	for n := 1; ; n += 2 {
		b := newBench(t, &fake.Cloud{}, engine.Options{})
		id := b.create(spec(cluster, nil))
		b.store.Close()
		k := &killer{n: n, after: true}
		b.open(engine.Options{}, k.options())
		_, _ = b.engine.Run(t.Context(), id, b.fence)
		b.store.Close()
		b.open(engine.Options{}, store.Options{})
		b.claim("delete", true)
		if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
			t.Fatal(err)
		}
		if res := b.run(id); res.Status != store.DeleteComplete {
			t.Fatalf("killed at commit %d: %+v", n, res)
		}
		if left := b.cloud.Objects(); len(left) != 0 {
			t.Fatalf("killed at commit %d: left %v", n, left)
		}
		b.store.Close()
		if !k.dead {
			break
		}
	}
}

// diskCloud keeps its objects as files, so that it outlives the process that calls it.
type diskCloud struct{ dir string }

func (d diskCloud) types(name string) (cloud.Type, bool) {
	t, ok := (&fake.Cloud{}).Type(name)
	if !ok {
		return nil, false
	}
	return diskType{d, t.Schema()}, true
}

type diskType struct {
	diskCloud
	schema cloud.Schema
}

func (d diskType) Schema() cloud.Schema { return d.schema }

func (d diskType) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	time.Sleep(rand.N(20 * time.Millisecond)) // a cloud takes its time; the killer may strike here
	f, err := os.OpenFile(filepath.Join(d.dir, req.Key), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(req.Stack + "/" + req.Name)
		f.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return cloud.Object{}, err
	}
	time.Sleep(rand.N(20 * time.Millisecond))
	attributes := map[string]any{}
	for _, a := range d.schema.Attributes {
		attributes[a] = a + " of " + req.Name
	}
	return cloud.Object{Physical: "physical-" + req.Key, Attributes: attributes}, nil
}

func (d diskType) Delete(ctx context.Context, req cloud.Request) error {
	err := os.Remove(filepath.Join(d.dir, req.Key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// TestMain runs the engine's part of TestKillNine when it is started as its child.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SLIPT_ENGINE_CHILD"); dir != "" {
		if err := child(dir, os.Getenv("SLIPT_ENGINE_STACK")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(dir, stack string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "slipway.db"), store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	var op *store.Operation
	err = s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ReleaseLeases(ctx, "test"); err != nil {
			return err
		}
		op, err = tx.ClaimOperation(ctx, "test", time.Hour)
		return err
	})
	if err != nil {
		return err
	}
	res, err := engine.New(s, diskCloud{filepath.Join(dir, "cloud")}.types, engine.Options{}).Run(ctx, stack, op.Fence())
	if err == nil && res.Status != store.CreateComplete {
		err = fmt.Errorf("%s: %s", res.Status, res.Reason)
	}
	return err
}

// builtin is a stack of the built-in cluster template.
func builtin(t testing.TB, masters, workers int) engine.Spec {
	t.Helper()
	files, err := templates.Files()
	if err != nil {
		t.Fatal(err)
	}
	s := spec(files, map[string]any{
		"cluster_name": "k8s", "cluster_uuid": "c", "node_name_prefix": "k8s-abc", "master_count": masters, "node_count": workers, "master_flavor": "m",
		"flavor": "w", "image": "i", "external_network": "public", "master_nodegroup": "a", "worker_nodegroup": "b", "kube_tag": "v1.36.3",
	})
	s.Template = templates.Cluster
	return s
}

func TestKillNine(t *testing.T) {
	b := newBench(t, &fake.Cloud{}, engine.Options{})
	dir := filepath.Dir(b.path)
	if err := os.Mkdir(filepath.Join(dir, "cloud"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := builtin(t, 3, 3)
	id := b.create(s)
	b.store.Close()
	kills := 0
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "SLIPT_ENGINE_CHILD="+dir, "SLIPT_ENGINE_STACK="+id)
		var out strings.Builder
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < 12 {
			time.Sleep(20*time.Millisecond + rand.N(80*time.Millisecond))
			_ = cmd.Process.Kill() // it may have ended by itself
		}
		err := cmd.Wait()
		if err == nil {
			break
		}
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
			t.Fatalf("%v: %s", err, out.String())
		}
		kills++
	}
	b.open(engine.Options{}, store.Options{})
	b.oneHistory(id, "CREATE")
	entries, err := os.ReadDir(filepath.Join(dir, "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		name, err := os.ReadFile(filepath.Join(dir, "cloud", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(name) > 0 && names[string(name)] {
			t.Errorf("made twice: %s", name)
		}
		names[string(name)] = true
	}
	rs, err := b.engine.Resources(t.Context(), id, 10)
	if err != nil {
		t.Fatal(err)
	}
	leaves := 0
	for _, r := range rs {
		if r.NestedID == "" {
			leaves++
		}
	}
	if len(entries) != leaves {
		t.Errorf("%d objects for %d resources", len(entries), leaves)
	}
	t.Logf("killed %d times; %d objects", kills, len(entries))
}
