package conditions_test

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/plan"
)

// member answers like etcd's metrics listener.
type member struct {
	health       string
	code         int
	delay        time.Duration
	fast, fsyncs int
	size, quota  float64
	metrics      string // instead of the rows

	mu    sync.Mutex
	clock time.Time
}

// now is the clock of the test: only the member's delay moves it.
func (m *member) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/health":
		m.mu.Lock()
		m.clock = m.clock.Add(m.delay)
		m.mu.Unlock()
		w.WriteHeader(m.code)
		_, _ = fmt.Fprint(w, m.health)
	case "/metrics":
		if m.metrics != "" {
			_, _ = fmt.Fprint(w, m.metrics)
			return
		}
		_, _ = fmt.Fprintf(w, "# HELP etcd_disk_wal_fsync_duration_seconds The latency.\netcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.032\"} 0\n"+
			"etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.064\"} %d\netcd_disk_wal_fsync_duration_seconds_count %d\n"+
			"etcd_mvcc_db_total_size_in_bytes %g\netcd_server_quota_backend_bytes %g\ngo_goroutines 7\n", m.fast, m.fsyncs, m.size, m.quota)
	default:
		http.NotFound(w, r)
	}
}

func (m *member) serve(t *testing.T) *conditions.Checks {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	return &conditions.Checks{Now: m.now, List: func() ([]plan.Check, error) {
		return []plan.Check{{Type: plan.CheckEtcd, Endpoint: server.URL}}, nil
	}}
}

func TestAMemberIsJudgedByWhatItSays(t *testing.T) {
	for name, test := range map[string]struct {
		change            func(*member)
		away, alarm, slow string // reasons
	}{
		"well":               {func(*member) {}, "Serving", "None", "Fast"},
		"without a leader":   {func(m *member) { m.health, m.code = `{"health":"false","reason":"RAFT NO LEADER"}`, 503 }, "NoQuorum", "None", "Fast"},
		"full":               {func(m *member) { m.health, m.code = `{"health":"false","reason":"ALARM NOSPACE"}`, 503 }, "Serving", "Raised", "Fast"},
		"nearly full":        {func(m *member) { m.size = 7e9 }, "Serving", "QuotaNear", "Fast"},
		"on a slow disk":     {func(m *member) { m.fsyncs = 1020 }, "Serving", "None", "SlowDisk"},
		"with one slow sync": {func(m *member) { m.fast, m.fsyncs = 10, 11 }, "Serving", "None", "Fast"},
		"slow to answer":     {func(m *member) { m.delay = 600 * time.Millisecond }, "Serving", "None", "SlowRead"},
		"that says nonsense": {func(m *member) { m.health = `<html>` }, "NoAnswer", "NoAnswer", "NoAnswer"},
		"with odd metrics":   {func(m *member) { m.metrics = "etcd_mvcc_db_total_size_in_bytes many\n" }, "Serving", "None", "Unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &member{health: `{"health":"true","reason":""}`, code: 200, fast: 1000, fsyncs: 1000, size: 2.5e7, quota: 8.589934592e+09}
			test.change(m)
			reasons := map[string]string{}
			for _, c := range m.serve(t).Look(t.Context()) {
				reasons[c.Type] = c.Reason
			}
			want := map[string]string{"EtcdUnavailable": test.away, "EtcdAlarm": test.alarm, "EtcdSlow": test.slow}
			if !maps.Equal(reasons, want) {
				t.Errorf("it is %v, want %v", reasons, want)
			}
		})
	}
}

func TestOnlyFsyncsSinceTheLastLookCount(t *testing.T) {
	m := &member{health: `{"health":"true"}`, code: 200, fast: 1000, fsyncs: 2000}
	checks := m.serve(t)
	is(t, one(t, checks, "EtcdSlow"), "True", "SlowDisk")
	m.fast, m.fsyncs = 1990, 3000 // 10 of 1,000 were slow: it is well only at half of that
	is(t, one(t, checks, "EtcdSlow"), "True", "SlowDisk")
	m.fast, m.fsyncs = 2988, 4000
	is(t, one(t, checks, "EtcdSlow"), "False", "Fast")
	m.fast, m.fsyncs = 5, 5 // it was restarted
	is(t, one(t, checks, "EtcdSlow"), "False", "Fast")
}

func TestAMemberThatDoesNotAnswerIsAway(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	checks := &conditions.Checks{Now: time.Now, List: func() ([]plan.Check, error) {
		return []plan.Check{{Type: plan.CheckEtcd, Endpoint: server.URL}}, nil
	}}
	is(t, one(t, checks, "EtcdUnavailable"), "True", "NoAnswer")
}

func TestAMemberIsAskedOverTLSByItsAuthority(t *testing.T) {
	server := httptest.NewTLSServer(&member{health: `{"health":"true"}`, code: 200})
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	check := plan.Check{Type: plan.CheckEtcd, Endpoint: server.URL, CA: ca}
	checks := &conditions.Checks{Now: time.Now, List: func() ([]plan.Check, error) { return []plan.Check{check}, nil }}
	is(t, one(t, checks, "EtcdUnavailable"), "False", "Serving")
	check.CA = filepath.Join(t.TempDir(), "none")
	is(t, one(t, checks, "EtcdUnavailable"), "Unknown", "Unreadable")
}

func TestACheckThatThePlanDropsIsGone(t *testing.T) {
	m := &member{health: `{"health":"true"}`, code: 200}
	checks := m.serve(t)
	if got := checks.Look(t.Context()); len(got) != 3 {
		t.Errorf("%d conditions, want 3", len(got))
	}
	checks.List = func() ([]plan.Check, error) { return nil, nil }
	if got := checks.Look(t.Context()); len(got) != 0 {
		t.Errorf("conditions are left: %v", got)
	}
	checks.List = func() ([]plan.Check, error) { return []plan.Check{{Type: "oracle"}}, nil }
	c := one(t, checks, "UnknownCheck")
	if c.Status != "Unknown" || !strings.Contains(c.Message, "oracle") {
		t.Errorf("%+v", c)
	}
}
