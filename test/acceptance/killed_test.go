//go:build acceptance

package acceptance

import (
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// TestACreationSurvivesAControlPlaneThatIsKilledFiveTimes kills slipwayd at five moments of one
// creation of three masters and three workers.
func TestACreationSurvivesAControlPlaneThatIsKilledFiveTimes(t *testing.T) {
	s := prepare(t)
	db := database(t, s)
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 3, 3))
	for _, m := range []struct{ moment, query string }{
		{"the request is accepted", "SELECT count(*) FROM clusters"},
		{"three resources are complete", "SELECT count(*) > 2 FROM events WHERE status = 'CREATE_COMPLETE'"},
		{"a server is being made", "SELECT count(*) FROM events WHERE resource_type = 'OS::Nova::Server' AND status = 'CREATE_IN_PROGRESS'"},
		{"a node has joined", "SELECT count(*) FROM nodes WHERE joined_at IS NOT NULL"},
		{"a node is healthy", "SELECT count(*) FROM signals WHERE phase = 'healthy'"},
	} {
		reached(t, db, m.moment, m.query)
		s.KillDaemon(t)
		t.Logf("killed when %s, after %s: %d events, %d resources, %d nodes joined, %d healthy", m.moment, time.Since(begun).Round(time.Millisecond),
			count(t, db, "SELECT count(*) FROM events"), count(t, db, "SELECT count(*) FROM resources"),
			count(t, db, "SELECT count(*) FROM nodes WHERE joined_at IS NOT NULL"), count(t, db, "SELECT count(*) FROM signals WHERE phase = 'healthy'"))
		if status := text(t, db, "SELECT status FROM clusters"); status != "CREATE_IN_PROGRESS" {
			t.Errorf("the creation has ended before: %s", status)
		}
		s.StartDaemon(t)
	}
	c := ended(t, s, "k8s")
	t.Logf("after %s: %s %s", time.Since(begun).Round(time.Millisecond), c.Status, c.Reason)
	if c.Status != "CREATE_COMPLETE" {
		t.Fatalf("the cluster is %s: %s", c.Status, c.Reason)
	}
	k := s.Kubectl(t, "k8s")
	harness.Eventually(t, patience, "six ready nodes", func() error { return k.Ready(6) })
	oneHistory(t, db)
	nothingTwice(t, s, db)
}

// oneHistory checks that the events are those of one creation: each resource has begun and is
// complete exactly once, under one physical id.
func oneHistory(t *testing.T, db *sql.DB) {
	t.Helper()
	for what, query := range map[string]string{
		"root stacks":                       "SELECT count(DISTINCT root_id) - 1 FROM events WHERE root_id <> ''",
		"operations":                        "SELECT count(*) - 1 FROM operations",
		"resources complete more than once": "SELECT count(*) FROM (SELECT 1 FROM events WHERE status = 'CREATE_COMPLETE' GROUP BY stack_id, resource_name HAVING count(*) > 1)",
		"resources begun more than once":    "SELECT count(*) FROM (SELECT 1 FROM events WHERE status = 'CREATE_IN_PROGRESS' GROUP BY stack_id, resource_name HAVING count(*) > 1)",
		"resources failed":                  "SELECT count(*) FROM events WHERE status LIKE '%FAILED'",
		"resources without a complete":      "SELECT count(*) FROM resources r WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.stack_id = r.stack_id AND e.resource_name = r.name AND e.status = 'CREATE_COMPLETE')",
		"plans beyond one a node":           "SELECT count(*) - 6 FROM plans",
		"nodes beyond six":                  "SELECT count(*) - 6 FROM nodes",
		"healthy signals twice":             "SELECT count(*) FROM (SELECT 1 FROM signals WHERE phase = 'healthy' GROUP BY node_id, deployment HAVING count(*) > 1)",
	} {
		if n := count(t, db, query); n != 0 {
			t.Errorf("%s: %d too many", what, n)
		}
	}
	t.Logf("one history: %d events about %d resources of %d stacks, operation tried %d times", count(t, db, "SELECT count(*) FROM events"),
		count(t, db, "SELECT count(*) FROM resources"), count(t, db, "SELECT count(*) FROM stacks"), count(t, db, "SELECT attempts FROM operations"))
}

// nothingTwice counts what the cloud has made on this machine.
func nothingTwice(t *testing.T, s *harness.System, db *sql.DB) {
	t.Helper()
	s.Nodes(t, 3, 3)
	seen := map[string]bool{}
	for _, one := range s.Servers(t) {
		if seen[one.Name] {
			t.Errorf("two servers are named %s", one.Name)
		}
		seen[one.Name] = true
	}
	names, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	spaces := map[string]int{}
	for _, n := range names {
		if kind, _, ok := strings.Cut(strings.TrimPrefix(n.Name(), "slip-"), "-"); ok && strings.HasPrefix(n.Name(), "slip-") {
			spaces[kind]++
		}
	}
	t.Logf("name spaces: %v", spaces)
	if spaces["net"] != 1 || spaces["srv"] != 6 || spaces["lb"] != 1 {
		t.Errorf("name spaces: %v, want 1 net, 6 srv and 1 lb", spaces)
	}
	containers := harness.Containers(t)
	t.Logf("containers: %v", containers)
	if len(containers) != 7 { // six servers and the load balancer
		t.Errorf("want 7 containers, have %v", containers)
	}
	for kind, want := range map[string]int{
		"OS::Neutron::Net": 1, "OS::Neutron::Router": 1, "OS::Neutron::FloatingIP": 1, "OS::Octavia::LoadBalancer": 1, "OS::Nova::Server": 6,
	} {
		if n := count(t, db, "SELECT count(*) FROM resources WHERE type = ?", kind); n != want {
			t.Errorf("%d resources %s, want %d", n, kind, want)
		}
	}
}

func text(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var s string
	if err := db.QueryRow(query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}
