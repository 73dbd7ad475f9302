//go:build acceptance

package acceptance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"slipway.build/slipway/test/harness"
)

// state is the tests' own state directory.
const state = "/var/lib/sliptest-acceptance"

// patience bounds what has no deadline of its own: how long a machine that is busy may take for
// anything. It is far below the hour that a creation has, so that it also tells what fails at
// once from what fails by its deadline.
const patience = 15 * time.Minute

// prepare returns a system whose slipwayd answers and can be killed, without a cluster.
func prepare(t *testing.T) *harness.System {
	t.Helper()
	s := harness.Claim(t, state)
	s.Slipway(t, "up", "--no-cluster")
	s.OwnDaemon(t)
	return s
}

// request writes a create request and returns its path.
func request(t *testing.T, name string, masters, nodes int, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".json")
	text := fmt.Sprintf(`{"name": %q, "cluster_template_id": "0562d357-8641-4759-8fed-8173f02c9633", "keypair": "my_keypair", "master_count": %d, "node_count": %d%s}`,
		name, masters, nodes, strings.Join(append([]string{""}, more...), ", "))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ended waits until the cluster's creation has ended and returns it.
func ended(t *testing.T, s *harness.System, name string) harness.Cluster {
	t.Helper()
	var c harness.Cluster
	harness.Eventually(t, patience, "the end of the creation of "+name, func() (err error) {
		if c, err = s.TryShow(name); err == nil && c.Status == "CREATE_IN_PROGRESS" {
			err = fmt.Errorf("it is %s", c.Status)
		}
		return err
	})
	return c
}

// reached waits until a query of the control plane's database returns more than zero.
func reached(t *testing.T, db *sql.DB, moment, query string) {
	t.Helper()
	harness.Eventually(t, patience, "the moment when "+moment, func() error {
		if count(t, db, query) == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
}

// awaitServers waits until there are as many servers that run.
func awaitServers(t *testing.T, s *harness.System, want int) {
	t.Helper()
	harness.Eventually(t, patience, fmt.Sprintf("%d servers that run", want), func() error {
		all, err := s.TryServers()
		running := 0
		for _, one := range all {
			if one.PID != 0 {
				running++
			}
		}
		if err == nil && running < want {
			err = fmt.Errorf("only %d of %d run", running, len(all))
		}
		return err
	})
}

// database opens the control plane's database beside slipwayd.
func database(t *testing.T, s *harness.System) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.State, "control", "slipway.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// count is the number that a query returns.
func count(t *testing.T, db *sql.DB, query string, args ...any) int {
	t.Helper()
	var n int
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := db.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
