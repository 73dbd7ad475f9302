package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway.build/slipway/controlplane/fault"
)

func open(t testing.TB, o Options) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control", "slipway.db")
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func do(t testing.TB, s *Store, fn func(ctx context.Context, tx *Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestDatabaseFileIsPrivateAndReopens(t *testing.T) {
	s, path := open(t, Options{})
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.SetFact(ctx, "c", "a", "1") })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	s, err = Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if v, err := s.Fact(t.Context(), "c", "a"); v != "1" || err != nil {
		t.Errorf("fact %q, %v", v, err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s, _ := open(t, Options{})
	if _, err := s.read.Exec("INSERT INTO facts (cluster_id, name, value, created_at, updated_at) VALUES ('c','n','v','','')"); err == nil {
		t.Error("a reading connection wrote")
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"} {
		var got string
		if err := s.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", pragma, got, err, want)
		}
	}
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	s, _ := open(t, Options{})
	ctx := t.Context()
	c := &Cluster{Name: "k8s", ProjectID: "p", UserID: "u", ClusterTemplateID: "t", Keypair: ptr("my_keypair"), CreateTimeout: 60,
		Labels: map[string]string{"quote": `it's "?" \ ü`}, MasterLBEnabled: true, Status: CreateInProgress, StatusReason: ptr("state changed")}
	n := &Nodegroup{Name: DefaultMaster, ProjectID: "p", NodeCount: 3, Role: RoleMaster, IsDefault: true, Status: CreateInProgress, MaxNodeCount: ptr(5), NodeTaints: []Taint{{Key: "a", Effect: "NoSchedule"}}}
	ct := &ClusterTemplate{Name: "kubernetes-v1.36.3", ProjectID: "p", UserID: "u", COE: "kubernetes", ImageID: "fcos", ServerType: "vm", Public: true, DNSNameserver: ptr("8.8.8.8")}
	st := &Stack{ID: NewID(), Name: "k8s-abc", ClusterID: "c", ProjectID: "p", Owner: "u", Action: ActionCreate, Status: InProgress, Timeout: time.Hour, Parameters: map[string]any{"n": 3.0, "l": []any{"a"}}, Files: map[string]string{"a": "b"}}
	st.RootID = st.ID
	r := &Resource{ID: NewID(), StackID: st.ID, RootID: st.ID, Name: "network", Type: "OS::Neutron::Net", Action: ActionInit, Status: Complete, DependsOn: []string{"a"}, Properties: map[string]any{"name": "x"}}
	e := &Event{StackID: st.ID, RootID: st.ID, ClusterID: "c", StackName: "k8s-abc", ResourceName: "network", Status: CreateInProgress, StatusReason: "state changed", Actor: "u"}
	nd := &Node{ID: NewID(), ClusterID: "c", Name: "m-0", Role: RoleMaster, Address: "10.0.0.5", PodIndex: 1, PodCIDR: "10.100.1.0/24", TokenHash: HashToken("t"), TokenSealed: []byte{0, 1, 255, '\''}}
	p := &Plan{NodeID: nd.ID, Generation: 1, Deployment: "d", Digest: "sha256:x", Envelope: []byte(`{"payload":"?"}`)}
	sig := &Signal{ID: NewID(), NodeID: nd.ID, Deployment: "d", Phase: "healthy", Body: []byte(`{"a":1}`)}
	au := &Authority{ClusterID: "c", Purpose: "etcd", Certificate: "PEM", SealedKey: []byte{1, 2}}
	sec := &Secret{ClusterID: "c", Name: "sa", Version: "1", Sealed: []byte{3}}
	do(t, s, func(ctx context.Context, tx *Tx) error {
		if err := tx.InsertCluster(ctx, c); err != nil {
			return err
		}
		n.ClusterID = c.UUID
		_, serr := tx.InsertSecret(ctx, sec)
		_, gerr := tx.InsertSignals(ctx, []*Signal{sig})
		return errors.Join(tx.InsertNodegroup(ctx, n), tx.InsertClusterTemplate(ctx, ct), tx.InsertStacks(ctx, []*Stack{st}), tx.InsertResources(ctx, []*Resource{r}),
			tx.InsertEvents(ctx, []*Event{e}), tx.InsertNode(ctx, nd), tx.InsertPlan(ctx, p), tx.InsertAuthority(ctx, au), serr, gerr)
	})
	same := func(what string, want, got any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		ignore := cmp.FilterPath(func(p cmp.Path) bool {
			switch p.Last().String() {
			case ".BaseModel", ".ID", ".Seq":
				return true
			}
			return false
		}, cmp.Ignore())
		if d := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	gc, err := s.Cluster(ctx, c.UUID)
	same("cluster", c, gc, err)
	gn, err := s.Nodegroup(ctx, c.UUID, DefaultMaster)
	same("nodegroup", n, gn, err)
	gt, err := s.ClusterTemplate(ctx, ct.UUID)
	same("template", ct, gt, err)
	gs, err := s.FindStack(ctx, "p", "k8s-abc")
	same("stack", st, gs, err)
	gr, err := s.FindResource(ctx, st.ID, "network")
	same("resource", r, gr, err)
	ge, err := s.Events(ctx, EventFilter{Cluster: "c"}, Page{})
	same("events", []Event{*e}, ge, err)
	gnd, err := s.Node(ctx, nd.ID)
	same("node", nd, gnd, err)
	gp, err := s.CurrentPlan(ctx, nd.ID)
	same("plan", p, gp, err)
	gsig, err := s.Signals(ctx, "d", 0)
	same("signals", []Signal{*sig}, gsig, err)
	ga, err := s.Authority(ctx, "c", "etcd")
	same("authority", au, ga, err)
	gsec, err := s.Secret(ctx, "c", "sa", "1")
	same("secret", sec, gsec, err)
	for what, err := range map[string]error{
		"cluster": second(s.Cluster(ctx, "x")), "template": second(s.ClusterTemplate(ctx, "x")), "stack": second(s.FindStack(ctx, "", "x")),
		"resource": second(s.FindResource(ctx, "x", "y")), "node": second(s.Node(ctx, "x")), "plan": second(s.CurrentPlan(ctx, "x")),
		"authority": second(s.Authority(ctx, "x", "y")), "secret": second(s.Secret(ctx, "x", "y", "z")), "fact": second(s.Fact(ctx, "x", "y")), "operation": second(s.Operation(ctx, "x")),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("missing %s: %v", what, err)
		}
	}
	gc.Status, gc.StackID = CreateComplete, ptr(st.ID)
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.UpdateCluster(ctx, gc) })
	if again, err := s.Cluster(ctx, c.UUID); err != nil || again.Status != CreateComplete || *again.StackID != st.ID || again.UpdatedAt == nil {
		t.Errorf("updated cluster: %+v, %v", again, err)
	}
	do(t, s, func(ctx context.Context, tx *Tx) error { return tx.DeleteCluster(ctx, c.UUID) })
	if ns, err := s.Nodegroups(ctx, c.UUID, "", Page{}); err != nil || len(ns) != 0 {
		t.Errorf("nodegroups of a deleted cluster: %v, %v", ns, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFailedTransactionLeavesNothingAndOthersOfItsBatchAlone(t *testing.T) {
	s, _ := open(t, Options{})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			err := s.Tx(t.Context(), func(ctx context.Context, tx *Tx) error {
				if err := tx.SetFact(ctx, "c", fmt.Sprint(i), "x"); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errors.New("no")
				case 2:
					panic("no")
				}
				return nil
			})
			if (err == nil) != (i%3 == 0) {
				t.Errorf("transaction %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	facts, err := s.Facts(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if _, ok := facts[fmt.Sprint(i)]; ok != (i%3 == 0) {
			t.Errorf("fact %d there: %v", i, ok)
		}
	}
}

func TestTransactionsThatQueueUpShareACommit(t *testing.T) {
	commits := 0
	s, _ := open(t, Options{BeforeCommit: func() error { commits++; return nil }})
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	put := func(i int) {
		if err := s.Tx(t.Context(), func(ctx context.Context, tx *Tx) error {
			if i == 0 {
				close(begun)
				<-release // the others queue up behind this one
			}
			return tx.SetFact(ctx, "c", fmt.Sprint(i), "x")
		}); err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() { put(0) })
	<-begun
	for i := range 50 {
		wg.Go(func() { put(i + 1) })
	}
	for len(s.writer.requests) < 50 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if commits != 1 {
		t.Errorf("%d commits for 51 transactions that were there together", commits)
	}
}

func TestSubscribersAreWokenAfterTheCommitOnly(t *testing.T) {
	s, _ := open(t, Options{})
	sub := s.Subscribe(StackTopic("a"), NodeTopic("b"))
	defer sub.Close()
	_ = s.Tx(t.Context(), func(ctx context.Context, tx *Tx) error {
		tx.Notify(StackTopic("a"))
		return errors.New("rolled back")
	})
	select {
	case <-sub.C:
		t.Error("woken by what was rolled back")
	default:
	}
	do(t, s, func(ctx context.Context, tx *Tx) error {
		tx.Notify(NodeTopic("b"))
		select {
		case <-sub.C:
			t.Error("woken before the commit")
		default:
		}
		return tx.SetFact(ctx, "c", "n", "v")
	})
	<-sub.C
	sub.Close()
	sub.Close()
	if len(s.hub.subs) != 0 {
		t.Errorf("subscriptions are left: %v", s.hub.subs)
	}
}

func TestClosedStoreRefusesTransactions(t *testing.T) {
	s, _ := open(t, Options{})
	s.Close()
	if err := s.Tx(t.Context(), func(context.Context, *Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestPagesFollowTheMarker(t *testing.T) {
	s, _ := open(t, Options{})
	names := []string{"b", "a", "c", "a"}
	do(t, s, func(ctx context.Context, tx *Tx) error {
		for _, n := range names {
			if err := tx.InsertCluster(ctx, &Cluster{Name: n, ProjectID: "p", Status: CreateComplete}); err != nil {
				return err
			}
		}
		return tx.InsertCluster(ctx, &Cluster{Name: "other", ProjectID: "q", Status: CreateComplete})
	})
	for _, tc := range []struct {
		page Page
		want string
	}{
		{Page{Limit: 1}, "baca"},
		{Page{Limit: 3, Descending: true}, "acab"},
		{Page{Limit: 1, SortKey: "name"}, "aabc"},
		{Page{Limit: 2, SortKey: "name", Descending: true}, "cbaa"},
		{Page{Limit: 1, SortKey: "keypair"}, "baca"},
	} {
		got := ""
		for {
			cs, err := s.Clusters(t.Context(), "p", tc.page)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cs {
				got += c.Name
				tc.page.Marker = c.UUID
			}
			if len(cs) < tc.page.Limit {
				break
			}
		}
		if got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.page, got, tc.want)
		}
	}
	if _, err := s.Clusters(t.Context(), "p", Page{SortKey: "labels; DROP TABLE"}); !fault.IsTerminal(err) {
		t.Errorf("bad sort key: %v", err)
	}
}

func TestSameEventSignalOrSecretIsStoredOnce(t *testing.T) {
	s, _ := open(t, Options{})
	for range 2 {
		do(t, s, func(ctx context.Context, tx *Tx) error {
			_, err := tx.InsertSignals(ctx, []*Signal{{ID: "s", NodeID: "n", Deployment: "d", Body: []byte("{}")}})
			_, serr := tx.InsertSecret(ctx, &Secret{ClusterID: "c", Name: "n", Version: "1", Sealed: []byte("x")})
			return errors.Join(err, serr, tx.InsertEvents(ctx, []*Event{{ID: "e", ClusterID: "c"}, {ClusterID: "c"}}))
		})
	}
	ss, _ := s.Signals(t.Context(), "d", 0)
	es, _ := s.Events(t.Context(), EventFilter{Cluster: "c"}, Page{})
	if len(ss) != 1 || len(es) != 3 {
		t.Errorf("%d signals and %d events, want 1 and 3", len(ss), len(es))
	}
}

func BenchmarkTx(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, _ := open(b, Options{})
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Tx(context.Background(), func(ctx context.Context, tx *Tx) error {
						return tx.InsertEvents(ctx, []*Event{{ClusterID: "c", RootID: "r", Status: CreateInProgress}})
					}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func TestListsOfKeysSelectTheirRows(t *testing.T) {
	s, _ := open(t, Options{})
	do(t, s, func(ctx context.Context, tx *Tx) error {
		for _, c := range []string{"a", "b", "c"} {
			if err := tx.InsertNodegroup(ctx, &Nodegroup{ClusterID: c, Name: DefaultMaster, Role: RoleMaster, Status: CreateComplete}); err != nil {
				return err
			}
			if err := tx.InsertEvents(ctx, []*Event{{StackID: c, ClusterID: "x"}}); err != nil {
				return err
			}
		}
		return nil
	})
	groups, err := s.NodegroupsOf(t.Context(), []string{"a", "c"})
	if err != nil || len(groups) != 2 || len(groups["a"]) != 1 || groups["b"] != nil {
		t.Errorf("nodegroups %v, %v", groups, err)
	}
	es, err := s.Events(t.Context(), EventFilter{Stacks: []string{"b", "c"}}, Page{})
	if err != nil || len(es) != 2 {
		t.Errorf("events %v, %v", es, err)
	}
}

func TestATransactionThatDoesNotBeginSaysWhyItsCallerWasCancelled(t *testing.T) {
	s, _ := open(t, Options{})
	why := errors.New("the stack is deleted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for range 20 { // the request is taken or not, as it happens
		if err := s.Tx(ctx, func(context.Context, *Tx) error { return nil }); !errors.Is(err, why) {
			t.Fatalf("error %v", err)
		}
	}
}
