package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/orchestration/engine/fake"
	"slipway.build/slipway/controlplane/orchestration/graph"
	"slipway.build/slipway/controlplane/store"
)

const head = "heat_template_version: 2021-04-16\n"

// cluster has the shape of a cluster template: things before, a group of nested templates
// whose deployments need what the servers do not, and one that waits for the group.
var cluster = map[string]string{
	"cluster.yaml": head + `
parameters:
  count: {type: number, default: 2}
  extra: {type: boolean, default: false}
conditions:
  extra: {equals: [{get_param: extra}, true]}
resources:
  network: {type: Fake::Thing}
  ports:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: count}
      resource_def: {type: Fake::Thing, properties: {name: "port-%index%", needs: {get_resource: network}}}
  slow: {type: Fake::Thing, properties: {needs: {get_resource: network}}}
  extra: {type: Fake::Thing, condition: extra, depends_on: slow}
  masters:
    type: OS::Heat::ResourceGroup
    depends_on: network
    properties:
      count: {get_param: count}
      resource_def:
        type: node.yaml
        properties:
          index: "%index%"
          ports: {get_attr: [ports, refs]}
          address: {get_attr: [slow, address]}
  deploy: {type: Fake::Waiter, properties: {list: {get_attr: [masters, server]}}}
outputs:
  servers: {value: {get_attr: [masters, refs]}}
  first: {value: {get_attr: [masters, resource.0.server]}}
  extra: {value: {get_resource: extra}}
`,
	"node.yaml": head + `
parameters:
  index: {type: string}
  ports: {type: json}
  address: {type: string}
resources:
  server: {type: Fake::Thing, properties: {name: {str_replace: {template: node-N, params: {N: {get_param: index}}}}, needs: {get_param: [ports, {get_param: index}]}}}
  deployment: {type: Fake::Waiter, properties: {needs: {get_param: address}, list: {get_param: ports}}}
outputs:
  OS::stack_id: {value: {get_resource: server}}
  server: {value: {get_attr: [server, address]}}
`,
}

type bench struct {
	t      testing.TB
	path   string
	store  *store.Store
	cloud  *fake.Cloud
	engine *engine.Engine
	fence  store.Fence
}

func newBench(t testing.TB, c *fake.Cloud, o engine.Options) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "slipway.db"), cloud: c}
	b.open(o, store.Options{})
	b.claim("create", false)
	return b
}

func (b *bench) open(o engine.Options, so store.Options) {
	b.t.Helper()
	s, err := store.Open(context.Background(), b.path, so)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { s.Close() })
	if o.Backoff == 0 {
		o.Backoff, o.MaxBackoff = time.Millisecond, 5*time.Millisecond
	}
	b.store, b.engine = s, engine.New(s, b.cloud.Type, o)
}

func (b *bench) claim(kind string, preempts bool) {
	b.t.Helper()
	err := b.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Enqueue(ctx, &store.Operation{ClusterID: "c", Kind: kind, Preempts: preempts}); err != nil {
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

func spec(files map[string]string, params map[string]any) engine.Spec {
	return engine.Spec{ID: store.NewID(), Name: "k8s-abc", Cluster: "c", Project: "p", Actor: "alice", Template: "cluster.yaml", Files: files, Parameters: params, Timeout: 5 * time.Minute}
}

func (b *bench) create(s engine.Spec) string {
	b.t.Helper()
	if err := b.tryCreate(s); err != nil {
		b.t.Fatal(err)
	}
	return s.ID
}

func (b *bench) tryCreate(s engine.Spec) error {
	return b.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := b.engine.CreateStack(ctx, tx, s)
		return err
	})
}

func (b *bench) run(id string) engine.Result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	res, err := b.engine.Run(ctx, id, b.fence)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) events(id string) []store.Event {
	b.t.Helper()
	es, err := b.store.Events(context.Background(), store.EventFilter{Root: id}, store.Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	return es
}

func (b *bench) states(id string) map[string]string {
	b.t.Helper()
	nodes, err := b.engine.Graph(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(prefix string, ns []graph.Node)
	walk = func(prefix string, ns []graph.Node) {
		for _, n := range ns {
			out[prefix+n.Name] = n.Status
			walk(prefix+n.Name+".", n.Children)
		}
	}
	walk("", nodes)
	return out
}

func TestStackIsCreatedWithItsNestedStacks(t *testing.T) {
	c := &fake.Cloud{}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, map[string]any{"count": 3}))
	res := b.run(id)
	if res.Status != store.CreateComplete || res.Reason != "Stack CREATE completed successfully" {
		t.Fatalf("%+v", res)
	}
	for path, s := range b.states(id) {
		if s != store.CreateComplete {
			t.Errorf("%s is %s", path, s)
		}
	}
	if _, ok := b.states(id)["masters.2.deployment"]; !ok {
		t.Errorf("states: %v", b.states(id))
	}
	var servers []string
	for _, o := range c.Objects() {
		if o.Name == "server" {
			servers = append(servers, o.Properties["name"].(string)+" "+o.Properties["needs"].(string))
		}
		if o.Name == "deployment" && o.Properties["needs"] != "address of slow" {
			t.Errorf("deployment: %v", o.Properties)
		}
	}
	slices.Sort(servers)
	if len(servers) != 3 || !strings.HasPrefix(servers[2], "node-2 physical-") {
		t.Errorf("servers: %v", servers)
	}
	if refs := res.Outputs["servers"].([]any); len(refs) != 3 || !strings.HasPrefix(refs[0].(string), "physical-") {
		t.Errorf("outputs: %v", res.Outputs)
	}
	if res.Outputs["first"] != "address of server" || res.Outputs["extra"] != nil {
		t.Errorf("outputs: %v", res.Outputs)
	}
	// Run again finds all done and calls nothing.
	calls := len(c.Calls())
	if again := b.run(id); again.Status != store.CreateComplete || len(c.Calls()) != calls {
		t.Errorf("second run: %+v, %d calls", again, len(c.Calls())-calls)
	}
}

func TestEventsReadLikeHeats(t *testing.T) {
	b := newBench(t, &fake.Cloud{}, engine.Options{})
	id := b.create(spec(map[string]string{"cluster.yaml": head + "resources:\n  deploy: {type: Fake::Waiter}\n"}, nil))
	b.run(id)
	res, err := b.engine.Resources(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	key := res[0].ID
	var got []string
	for _, e := range b.events(id) {
		if e.Actor != "alice" || e.ClusterID != "c" || e.ID == "" || e.Time.IsZero() {
			t.Errorf("event %+v", e)
		}
		physical := strings.NewReplacer(id, "ID", key, "KEY").Replace(e.PhysicalID)
		if strings.HasPrefix(physical, "k8s-abc-deploy-") {
			physical = fmt.Sprintf("k8s-abc-deploy-%d", len(physical)-len("k8s-abc-deploy-"))
		}
		got = append(got, strings.Join([]string{e.ResourceName, physical, e.ResourceType, e.Status, strings.ReplaceAll(e.StatusReason, key, "KEY")}, "|"))
	}
	want := []string{
		"k8s-abc|ID|OS::Heat::Stack|CREATE_IN_PROGRESS|Stack CREATE started",
		"deploy|k8s-abc-deploy-12|Fake::Waiter|CREATE_IN_PROGRESS|state changed",
		"deploy|physical-KEY|Fake::Waiter|SIGNAL_IN_PROGRESS|Signal: deployment KEY succeeded",
		"deploy|physical-KEY|Fake::Waiter|CREATE_COMPLETE|state changed",
		"k8s-abc|ID|OS::Heat::Stack|CREATE_COMPLETE|Stack CREATE completed successfully",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestServersStartWhileWhatOnlyDeploymentsNeedIsStillMade(t *testing.T) {
	servers := make(chan struct{}, 3)
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if c.Operation == fake.Create && c.Name == "server" {
			servers <- struct{}{}
		}
		if c.Operation == fake.Create && c.Name == "slow" {
			for range 3 { // returns only after all servers were made
				select {
				case <-servers:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	}}
	b := newBench(t, c, engine.Options{})
	if res := b.run(b.create(spec(cluster, map[string]any{"count": 3}))); res.Status != store.CreateComplete {
		t.Fatalf("%+v", res)
	}
}

func TestBoundOfOneHoldsForCallsButNotForWaits(t *testing.T) {
	// Every deployment waits until all of them wait, as members of etcd do.
	var all sync.WaitGroup
	all.Add(3)
	var once sync.Map
	c := &fake.Cloud{Delay: time.Millisecond, Script: func(ctx context.Context, c fake.Call) error {
		if c.Operation != fake.Await || c.Name != "deployment" {
			return nil
		}
		if _, again := once.LoadOrStore(c.Key, true); !again {
			all.Done()
		}
		all.Wait()
		return nil
	}}
	b := newBench(t, c, engine.Options{Parallel: 1})
	if res := b.run(b.create(spec(cluster, map[string]any{"count": 3}))); res.Status != store.CreateComplete {
		t.Fatalf("%+v", res)
	}
	if c.MostInFlight() != 1 {
		t.Errorf("%d calls at once", c.MostInFlight())
	}
	// The first four calls for ports return only when all four are under way; while they are,
	// a fifth would have time to come.
	four, calls := make(chan struct{}), 0
	var mu sync.Mutex
	c2 := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if _, port := c.Properties["name"]; !port || c.Operation != fake.Create || !strings.Contains(c.Stack, "ports") {
			return nil
		}
		mu.Lock()
		calls++
		n := calls
		mu.Unlock()
		if n == 4 {
			time.AfterFunc(20*time.Millisecond, func() { close(four) })
		}
		if n <= 4 {
			select {
			case <-four:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	b = newBench(t, c2, engine.Options{Parallel: 4})
	if res := b.run(b.create(spec(cluster, map[string]any{"count": 20}))); res.Status != store.CreateComplete {
		t.Fatalf("%+v", res)
	}
	if c2.MostInFlight() != 4 {
		t.Errorf("%d calls at once, want 4", c2.MostInFlight())
	}
}

func TestFailureCarriesItsRootCauseUpAndStopsTheRest(t *testing.T) {
	var b *bench
	var id string
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		switch {
		case c.Name == "deployment" && c.Operation == fake.Await && c.Properties["needs"] != nil:
			if len(c.Stack) > 0 && strings.Contains(c.Stack, "-1-") {
				for b.states(id)["masters.1.server"] != store.CreateComplete && ctx.Err() == nil {
					time.Sleep(time.Millisecond) // the two need not know of each other
				}
				return fault.Terminalf("image kube-apiserver: expected sha256:aa, found sha256:bb")
			}
			<-ctx.Done() // a peer that will never be healthy
			return ctx.Err()
		}
		return nil
	}}
	b = newBench(t, c, engine.Options{})
	id = b.create(spec(cluster, nil))
	res := b.run(id)
	want := "resource masters.1.deployment: image kube-apiserver: expected sha256:aa, found sha256:bb"
	if res.Status != store.CreateFailed || res.Reason != want {
		t.Fatalf("%+v, want %s", res, want)
	}
	states := b.states(id)
	for path, want := range map[string]string{
		"masters.1.deployment": "CREATE_FAILED", "masters.1": "CREATE_FAILED", "masters": "CREATE_FAILED",
		"masters.0.deployment": "CREATE_FAILED", "masters.0": "CREATE_FAILED",
		"network": "CREATE_COMPLETE", "masters.1.server": "CREATE_COMPLETE", "deploy": "INIT_COMPLETE",
	} {
		if states[path] != want {
			t.Errorf("%s is %s, want %s", path, states[path], want)
		}
	}
	rs, err := b.engine.Resources(t.Context(), id, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Status == store.InProgress || r.Stack.Status == store.InProgress {
			t.Errorf("%s of %s is still in progress", r.Name, r.Stack.Name)
		}
		if r.Name == "masters" && r.StatusReason != "resource 1.deployment: image kube-apiserver: expected sha256:aa, found sha256:bb" &&
			!strings.HasSuffix(r.StatusReason, "found sha256:bb") {
			t.Errorf("masters: %s", r.StatusReason)
		}
	}
	// What failed stays failed when it is run again.
	if again := b.run(id); again.Reason != want {
		t.Errorf("second run: %+v", again)
	}
}

func TestRetriableFaultIsTriedAgainAndTold(t *testing.T) {
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if c.Name == "network" && c.Attempt < 4 {
			if c.Attempt == 1 {
				return errors.New("connection refused") // unmarked counts as retriable
			}
			return fault.Retriablef("503 from Neutron")
		}
		return nil
	}}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, nil))
	if res := b.run(id); res.Status != store.CreateComplete {
		t.Fatalf("%+v", res)
	}
	var got []string
	for _, e := range b.events(id) {
		if e.ResourceName == "network" {
			got = append(got, e.Status+" "+e.StatusReason)
		}
	}
	want := []string{
		"CREATE_IN_PROGRESS state changed",
		"CREATE_IN_PROGRESS attempt 1 failed, trying again: connection refused",
		"CREATE_IN_PROGRESS attempt 2 failed, trying again: 503 from Neutron",
		"CREATE_IN_PROGRESS attempt 3 failed, trying again: 503 from Neutron",
		"CREATE_COMPLETE state changed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPanicOfATypeFailsItsStackOnly(t *testing.T) {
	b := newBench(t, &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error { panic("oops") }}, engine.Options{})
	if res := b.run(b.create(spec(cluster, nil))); res.Status != store.CreateFailed || !strings.Contains(res.Reason, "resource network: the resource type Fake::Thing panicked: oops") {
		t.Errorf("%+v", res)
	}
}

func TestDeadlineFailsWithWhatItWaitedFor(t *testing.T) {
	block := func(ctx context.Context, c fake.Call) error {
		if c.Name == "deployment" && c.Operation == fake.Await {
			c.Report("SIGNAL_IN_PROGRESS", "pulling 40 of 100 MB")
			<-ctx.Done()
			return fmt.Errorf("await node master-0: %w", ctx.Err())
		}
		if c.Name == "extra" {
			return fault.Retriablef("no quota")
		}
		return nil
	}
	t.Run("of the stack", func(t *testing.T) {
		var res engine.Result
		// How long it takes to come to where it waits is the machine's matter.
		for limit := 300 * time.Millisecond; limit < time.Minute; limit *= 3 {
			b := newBench(t, &fake.Cloud{Script: block}, engine.Options{})
			s := spec(cluster, map[string]any{"count": 1})
			s.Timeout = limit
			if res = b.run(b.create(s)); strings.Contains(res.Reason, "last heard") {
				break
			}
		}
		for _, want := range []string{"resource masters.0.deployment: the deadline passed after ", "await node master-0", "last heard: pulling 40 of 100 MB"} {
			if res.Status != store.CreateFailed || !strings.Contains(res.Reason, want) {
				t.Errorf("%+v lacks %s", res, want)
			}
		}
	})
	t.Run("of a resource that is tried again", func(t *testing.T) {
		var res engine.Result
		for limit := 500 * time.Millisecond; limit < time.Minute; limit *= 3 {
			b := newBench(t, &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
				if c.Name == "extra" {
					return block(ctx, c)
				}
				return nil
			}}, engine.Options{Deadline: func(typ string) time.Duration {
				if typ == "Fake::Thing" {
					return limit
				}
				return 0
			}})
			if res = b.run(b.create(spec(cluster, map[string]any{"extra": true}))); strings.HasSuffix(res.Reason, "no quota") {
				break
			}
		}
		if res.Status != store.CreateFailed || !strings.HasPrefix(res.Reason, "resource extra: the deadline passed after ") || !strings.HasSuffix(res.Reason, "failed attempts: no quota") {
			t.Errorf("%+v", res)
		}
	})
	t.Run("that passed while nobody ran", func(t *testing.T) {
		b := newBench(t, &fake.Cloud{}, engine.Options{})
		s := spec(cluster, nil)
		s.Timeout = time.Nanosecond
		if res := b.run(b.create(s)); res.Status != store.CreateFailed || !strings.Contains(res.Reason, "the deadline passed") {
			t.Errorf("%+v", res)
		}
	})
}

func TestStackIsDeletedInReverse(t *testing.T) {
	c := &fake.Cloud{}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, nil))
	b.run(id)
	made := len(c.Objects())
	b.claim("delete", true)
	if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
		t.Fatal(err)
	}
	if res := b.run(id); res.Status != store.DeleteComplete || res.Reason != "Stack DELETE completed successfully" {
		t.Fatalf("%+v", res)
	}
	if left := c.Objects(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	at := map[string]int{}
	deletes := 0
	for i, call := range c.Calls() {
		if call.Operation == fake.Delete {
			at[call.Name] = i
			deletes++
			if call.Physical == "" {
				t.Errorf("%s deleted without its physical id", call.Name)
			}
		}
	}
	if deletes != made {
		t.Errorf("%d deletions of %d objects", deletes, made)
	}
	if at["network"] < at["slow"] || at["slow"] < at["deployment"] || at["deployment"] < at["deploy"] {
		t.Errorf("order: %v", at)
	}
	for _, e := range b.events(id) {
		if strings.HasPrefix(e.Status, "DELETE") != (e.Actor == "bob") {
			t.Errorf("%s %s by %s", e.ResourceName, e.Status, e.Actor)
		}
	}
	// Deleting again is harmless.
	if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
		t.Error(err)
	}
	if res := b.run(id); res.Status != store.DeleteComplete {
		t.Errorf("%+v", res)
	}
}

func TestDeleteInterruptsARunningCreation(t *testing.T) {
	waiting := make(chan struct{}, 10)
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if c.Operation == fake.Await {
			waiting <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, nil))
	createFence := b.fence
	ended := make(chan error, 1)
	go func() {
		_, err := b.engine.Run(context.Background(), id, createFence)
		ended <- err
	}()
	<-waiting
	if _, err := b.engine.Run(t.Context(), id, createFence); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second run at the same time: %v", err)
	}
	b.claim("delete", true)
	if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
		t.Fatal(err)
	}
	// It is interrupted, or a write of its own has met the lost fence just before.
	if err := <-ended; fault.KindOf(err) != fault.Conflict {
		t.Errorf("the creation ended with %v", err)
	}
	if res := b.run(id); res.Status != store.DeleteComplete {
		t.Fatalf("%+v", res)
	}
	if left := c.Objects(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	for path, s := range b.states(id) {
		if s != store.DeleteComplete {
			t.Errorf("%s is %s", path, s)
		}
	}
}

func TestFailedDeletionGoesOnWithTheRestAndCanBeRepeated(t *testing.T) {
	broken := true
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if c.Operation == fake.Delete && c.Name == "server" && broken {
			return fault.Terminalf("server is locked")
		}
		return nil
	}}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, map[string]any{"count": 1, "extra": true}))
	b.run(id)
	b.claim("delete", true)
	if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
		t.Fatal(err)
	}
	if res := b.run(id); res.Status != store.DeleteFailed || res.Reason != "resource masters.0.server: server is locked" {
		t.Fatalf("%+v", res)
	}
	states := b.states(id)
	for path, want := range map[string]string{"masters.0.server": "DELETE_FAILED", "masters": "DELETE_FAILED", "deploy": "DELETE_COMPLETE", "extra": "DELETE_COMPLETE", "masters.0.deployment": "DELETE_COMPLETE", "network": "CREATE_COMPLETE"} {
		if states[path] != want {
			t.Errorf("%s is %s, want %s", path, states[path], want)
		}
	}
	broken = false
	if err := b.engine.DeleteStack(t.Context(), id, b.fence, "bob", 0); err != nil {
		t.Fatal(err)
	}
	if res := b.run(id); res.Status != store.DeleteComplete || len(c.Objects()) != 0 {
		t.Errorf("%+v, left %v", res, c.Objects())
	}
}

func TestRunWithALostFenceWritesNothing(t *testing.T) {
	c := &fake.Cloud{}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, nil))
	old := b.fence
	b.claim("delete", true)
	before := len(b.events(id))
	if _, err := b.engine.Run(t.Context(), id, old); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	if len(c.Calls()) != 0 || len(b.events(id)) != before {
		t.Errorf("%d calls, %d new events", len(c.Calls()), len(b.events(id))-before)
	}
}

func TestBadSpecIsTerminalAndWritesNothing(t *testing.T) {
	b := newBench(t, &fake.Cloud{}, engine.Options{})
	for _, s := range []engine.Spec{
		spec(cluster, map[string]any{"count": "many"}),
		spec(cluster, map[string]any{"no": 1}),
		spec(map[string]string{"cluster.yaml": head + "resources: {a: {type: No::Such}}"}, nil),
		spec(nil, nil),
	} {
		if err := b.tryCreate(s); !fault.IsTerminal(err) {
			t.Errorf("got %v", err)
		}
	}
	if ss, _ := b.store.Stacks(t.Context(), store.StackFilter{ShowNested: true}, store.Page{}); len(ss) != 0 {
		t.Errorf("stacks: %v", ss)
	}
	id := b.create(spec(cluster, map[string]any{"count": 2.5}))
	if res := b.run(id); res.Status != store.CreateFailed || !strings.Contains(res.Reason, "not a whole number") {
		t.Errorf("%+v", res)
	}
}

func TestEmptyStackAndEmptyGroupsComplete(t *testing.T) {
	b := newBench(t, &fake.Cloud{}, engine.Options{})
	if res := b.run(b.create(spec(map[string]string{"cluster.yaml": head}, nil))); res.Status != store.CreateComplete {
		t.Errorf("%+v", res)
	}
	files := map[string]string{"cluster.yaml": strings.ReplaceAll(cluster["cluster.yaml"], "  first: {value: {get_attr: [masters, resource.0.server]}}\n", ""), "node.yaml": cluster["node.yaml"]}
	res := b.run(b.create(spec(files, map[string]any{"count": 0})))
	if res.Status != store.CreateComplete || fmt.Sprint(res.Outputs["servers"]) != "[]" {
		t.Errorf("%+v", res)
	}
}

func TestStackNameIsADNSLabel(t *testing.T) {
	id := "6d5270f6-6362-4063-898c-b5a6ecf21294"
	for cluster, want := range map[string]string{
		"k8s": "k8s-nvjhb5tdmjag", "My_Cluster.1": "my-cluster-1-nvjhb5tdmjag",
		strings.Repeat("a", 60): strings.Repeat("a", 30) + "-nvjhb5tdmjag", "a--": "a-nvjhb5tdmjag",
	} {
		if got := engine.StackName(cluster, id); got != want {
			t.Errorf("%s: %s, want %s", cluster, got, want)
		}
	}
}

func TestGroupTellsItsServersBeforeItIsDone(t *testing.T) {
	waiting := make(chan struct{}, 10)
	release := make(chan struct{})
	c := &fake.Cloud{Script: func(ctx context.Context, c fake.Call) error {
		if c.Operation == fake.Await && c.Name == "deployment" {
			waiting <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	}}
	b := newBench(t, c, engine.Options{})
	id := b.create(spec(cluster, nil))
	done := make(chan engine.Result, 1)
	go func() {
		res, _ := b.engine.Run(context.Background(), id, b.fence)
		done <- res
	}()
	<-waiting
	<-waiting
	r, err := b.store.FindResource(t.Context(), id, "masters")
	if err != nil {
		t.Fatal(err)
	}
	sub := b.store.Subscribe(store.StackTopic(id))
	defer sub.Close()
	var refs map[string]any
	for len(refs) < 2 {
		out, err := b.engine.Outputs(t.Context(), r.PhysicalID)
		if err != nil {
			t.Fatal(err)
		}
		refs, _ = out["refs_map"].(map[string]any)
		if len(refs) < 2 {
			<-sub.C
		}
	}
	if !strings.HasPrefix(refs["0"].(string), "physical-") {
		t.Errorf("refs_map %v", refs)
	}
	close(release)
	if res := <-done; res.Status != store.CreateComplete {
		t.Errorf("%+v", res)
	}
	es, err := b.engine.Events(t.Context(), r.PhysicalID, 1, store.EventFilter{Resource: "server"}, store.Page{})
	if err != nil || len(es) != 4 {
		t.Errorf("%d events of servers below masters, %v", len(es), err)
	}
	if es, _ = b.engine.Events(t.Context(), id, 0, store.EventFilter{Resource: "server"}, store.Page{}); len(es) != 0 {
		t.Errorf("%d events of servers in the root", len(es))
	}
}
