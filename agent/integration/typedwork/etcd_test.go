package typedwork

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/cluster/etcd"
	"slipway.build/slipway/agent/plan"
)

// trio is an etcd cluster of three members.
type trio struct {
	t       *testing.T
	bin     string
	ca      *authority
	members []*member
	pki     string
	http    *http.Client
	agent   *agent
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	w := &trio{t: t, bin: programs(t, "etcd"), ca: newAuthority(t), agent: newAgent(t)}
	w.ca.trust(w.agent.plane.CA) // what plans' certificates are signed by
	w.pki = filepath.Dir(w.ca.pair("client"))
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: w.ca.clientTLS(filepath.Join(w.pki, "client"))}, Timeout: time.Minute}
	for i := range 3 {
		w.members = append(w.members, newMember(t, w.ca, w.bin, fmt.Sprintf("m%d", i)))
	}
	for _, m := range w.members {
		m.start(t, "new", w.members...)
	}
	for _, m := range w.members {
		w.await(m)
	}
	return w
}

// await waits until a member serves linearizable reads.
func (w *trio) await(m *member) {
	w.t.Helper()
	eventually(w.t, "member "+m.name, func() error {
		if err := w.put(m, "hello", "there"); err != nil {
			return fmt.Errorf("%w\n%s", err, m.tail())
		}
		return nil
	})
}

func (w *trio) ask(m *member, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	resp, err := w.http.Post(m.client+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (w *trio) put(m *member, key, value string) error {
	return w.ask(m, "/v3/kv/put", map[string][]byte{"key": []byte(key), "value": []byte(value)}, nil)
}

// get returns a value, or "" for none.
func (w *trio) get(m *member, key string) string {
	w.t.Helper()
	var out struct {
		KVs []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := w.ask(m, "/v3/kv/range", map[string][]byte{"key": []byte(key)}, &out); err != nil {
		w.t.Fatal(err)
	}
	if len(out.KVs) == 0 {
		return ""
	}
	return string(out.KVs[0].Value)
}

// client returns the agent's client of a member.
func (w *trio) client(m *member) *etcd.Client {
	c := etcd.New(plan.API{Server: m.client, CA: w.ca.file, Certificate: "client"}, w.pki)
	w.t.Cleanup(c.Close)
	return c
}

// traffic writes to a member until stopped, and returns how many writes it made; a write that
// fails is tried again, so only order and number are certain.
func (w *trio) traffic(m *member) (stop func() int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	counted := make(chan int)
	go func() {
		n := 0
		for tries := 0; ctx.Err() == nil || n == 0 && tries < 100; tries++ {
			if w.put(m, fmt.Sprintf("traffic/%08d", n), strings.Repeat("x", 256)) == nil {
				n++
			}
		}
		counted <- n
	}()
	return func() int { cancel(); return <-counted }
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("the test's deadline has passed"))
	t.Cleanup(cancel)
	return ctx
}

// long is more than anything takes that is to succeed.
const long = 4 * time.Minute

func TestEtcd(t *testing.T) {
	t.Parallel()
	w := newTrio(t)
	for _, part := range []struct {
		name string
		do   func(*testing.T, *trio)
	}{
		{"the status tells how a member is", testStatus},
		{"a member joins as a learner, is promoted and goes, under traffic", testLearner},
		{"a member cannot remove itself", testSelf},
		{"a snapshot is whole, kept and restores", testSnapshot},
		{"space is given back and alarms are taken back", testMaintenance},
		{"an agent that is killed resumes its work on members and snapshots", testKilledEtcd},
		{"a change that loses quorum is refused", testQuorum}, // stops members: the last one
	} {
		if !t.Run(part.name, func(t *testing.T) { w.t, w.agent.t = t, t; part.do(t, w) }) {
			break
		}
	}
}

func testStatus(t *testing.T, w *trio) {
	s, err := w.client(w.members[0]).Status(within(t, long))
	if err != nil {
		t.Fatal(err)
	}
	if s.ReadError != nil || s.Read <= 0 || s.Leader == "" || s.Member == "" || s.Size <= 0 || s.InUse <= 0 || s.Quota <= 0 || s.Term == 0 || s.Version == "" || s.Learner || len(s.Alarms)+len(s.Errors) > 0 {
		t.Errorf("status %+v", s)
	}
}

func testLearner(t *testing.T, w *trio) {
	for i := range 200 {
		if err := w.put(w.members[0], fmt.Sprintf("before/%d", i), strings.Repeat("y", 1024)); err != nil {
			t.Fatal(err)
		}
	}
	stop := w.traffic(w.members[0])
	ctx, c := within(t, long), w.client(w.members[0])
	learner := newMember(t, w.ca, w.bin, "m3")
	want := plan.Member{Name: "m3", PeerURLs: []string{learner.peer}}
	added, err := c.Add(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Add(ctx, want)
	if err != nil || again["id"] != added["id"] || added["learner"] != "true" {
		t.Fatalf("added %v, then %v (%v)", added, again, err)
	}
	// It has not started: no promotion, and the error says what it waits for.
	givesUp(t, func(ctx context.Context) error { _, err := c.Promote(ctx, plan.Member{ID: added["id"]}); return err },
		"promote member "+added["id"], "the test's deadline has passed", "learner")
	learner.start(t, "existing", append(append([]*member(nil), w.members...), learner)...)
	promoted, err := c.Promote(ctx, want)
	if err != nil {
		t.Fatalf("%v\n%s", err, learner.tail())
	}
	if promoted["id"] != added["id"] || promoted["learner"] != "false" {
		t.Errorf("promoted %v, added %v", promoted, added)
	}
	if again, err := c.Promote(ctx, want); err != nil || again["learner"] != "false" {
		t.Errorf("promoted again: %v, %v", again, err)
	}
	w.await(learner)
	n := stop()
	if n == 0 || w.get(learner, fmt.Sprintf("traffic/%08d", n-1)) == "" || w.get(learner, "before/199") == "" {
		t.Errorf("of %d writes the new member has not the last", n)
	}
	stop = w.traffic(w.members[0])
	if _, err := c.Remove(ctx, plan.Member{ID: added["id"]}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Remove(ctx, want); err != nil { // it is gone already
		t.Fatal(err)
	}
	if n := stop(); n == 0 {
		t.Error("no write went through while the member was removed")
	}
	all, err := c.Members(ctx)
	if err != nil || len(all) != 3 {
		t.Errorf("members %v (%v)", all, err)
	}
}

func testSelf(t *testing.T, w *trio) {
	_, err := w.client(w.members[1]).Remove(within(t, long), plan.Member{Name: "m1"})
	if err == nil || !strings.Contains(err.Error(), "cannot remove itself") {
		t.Errorf("error %v", err)
	}
}

func testSnapshot(t *testing.T, w *trio) {
	if err := w.put(w.members[0], "kept", "safe"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "snapshots")
	c, ctx := w.client(w.members[0]), within(t, long)
	want := plan.Snapshot{Dir: dir, Keep: 2}
	write(t, filepath.Join(dir, "nightly-0000000001.db"), []byte("of another task"))
	write(t, filepath.Join(dir, ".save-0000000001.db.partial"), []byte("left by a killed run"))
	var last map[string]string
	for generation := range uint64(3) {
		var err error
		if last, err = c.Snapshot(ctx, want, "save", generation+1); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if got := fmt.Sprint(names, hidden); got != fmt.Sprintf("[%[1]s/nightly-0000000001.db %[1]s/save-0000000002.db %[1]s/save-0000000003.db] []", dir) {
		t.Errorf("there are %s", got)
	}
	raw, err := os.ReadFile(last["path"])
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(last["path"]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if again, err := c.Snapshot(ctx, want, "save", 3); err != nil || fmt.Sprint(again) != fmt.Sprint(last) {
		t.Errorf("again: %v (%v), first %v", again, err, last)
	}
	// A file that was spoilt is no snapshot: it is taken anew.
	spoilt := bytes.Clone(raw)
	spoilt[len(raw)/2] ^= 1
	write(t, last["path"], spoilt)
	if _, err := c.Snapshot(ctx, want, "save", 3); err != nil {
		t.Fatal(err)
	}
	restored, err := os.ReadFile(last["path"])
	if err != nil || bytes.Equal(restored, spoilt) {
		t.Errorf("a spoilt snapshot was left (%v)", err)
	}
	restore(t, w, restored)
}

func testMaintenance(t *testing.T, w *trio) {
	c, ctx := w.client(w.members[0]), within(t, long)
	value := strings.Repeat("z", 64<<10)
	for i := range 60 {
		if err := w.put(w.members[0], "big", value+fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	var put struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := w.ask(w.members[0], "/v3/kv/put", map[string][]byte{"key": []byte("big"), "value": []byte("small")}, &put); err != nil {
		t.Fatal(err)
	}
	if err := w.ask(w.members[0], "/v3/kv/compaction", map[string]any{"revision": put.Header.Revision, "physical": true}, nil); err != nil {
		t.Fatal(err)
	}
	// etcd counts what a transaction frees as in use until the next one is committed.
	eventually(t, "the space that compaction frees", func() error {
		if err := w.put(w.members[0], "big", "small"); err != nil {
			return err
		}
		s, err := c.Status(ctx)
		if err == nil && s.InUse >= s.Size/2 {
			err = fmt.Errorf("%d of %d bytes are in use", s.InUse, s.Size)
		}
		return err
	})
	out, err := c.Defragment(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var before, after int64
	_, _ = fmt.Sscan(out["before"], &before)
	_, _ = fmt.Sscan(out["after"], &after)
	if before < 2<<20 || after >= before/2 {
		t.Errorf("defragmented from %d to %d bytes", before, after)
	}
	var self struct {
		Header struct {
			Member string `json:"member_id"`
		} `json:"header"`
	}
	if err := w.ask(w.members[0], "/v3/maintenance/status", struct{}{}, &self); err != nil {
		t.Fatal(err)
	}
	if err := w.ask(w.members[0], "/v3/maintenance/alarm", map[string]any{"action": "ACTIVATE", "alarm": "NOSPACE", "memberID": self.Header.Member}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.put(w.members[0], "refused", "x"); err == nil {
		t.Error("a write went through an alarm")
	}
	s, err := c.Status(ctx)
	if err != nil || len(s.Alarms) != 1 || s.Alarms[0] != (etcd.Alarm{Kind: "NOSPACE", Member: s.Member}) {
		t.Errorf("alarms %+v (%v)", s, err)
	}
	if out, err := c.Disarm(ctx); err != nil || out["disarmed"] != "1" {
		t.Errorf("disarmed %v (%v)", out, err)
	}
	if err := w.put(w.members[0], "accepted", "x"); err != nil {
		t.Error(err)
	}
}

func testQuorum(t *testing.T, w *trio) {
	c := w.client(w.members[0])
	w.members[2].kill()
	removeM1 := func(ctx context.Context) error { _, err := c.Remove(ctx, plan.Member{Name: "m1"}); return err }
	givesUp(t, removeM1, "would lose quorum", "m1", "of then 2 voters 2 would have to be healthy, and 1 are", "m2")
	all, err := c.Members(within(t, long))
	if err != nil || len(all) != 3 {
		t.Fatalf("members %v (%v)", all, err)
	}
	// A member that hangs is connected, and no use.
	w.members[2].run(t, "--initial-cluster-state=existing")
	w.await(w.members[2])
	stopped(t, w.members[2], func() {
		givesUp(t, removeM1, "would lose quorum", "no answer within")
	})
	w.members[2].kill()
	// The dead one may go: both that remain are well.
	if _, err := c.Remove(within(t, long), plan.Member{Name: "m2"}); err != nil {
		t.Fatal(err)
	}
	w.members[1].kill()
	givesUp(t, removeM1, "list the members")
	s, err := c.Status(within(t, long))
	if err != nil || s.ReadError == nil {
		t.Errorf("status without a quorum: %+v (%v)", s, err)
	}
}
