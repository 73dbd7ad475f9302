//go:build acceptance

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/test/harness"
)

// kubelet is the unit that the bad plan changes.
const kubelet = "slipway-kubelet.service"

// TestABadPlanRollsBackByItself gives both nodes of a cluster a plan, signed by the control plane,
// whose kubelet has a flag that does not exist. The control plane is stopped for that moment,
// because its interface has no way to ask for such a plan.
func TestABadPlanRollsBackByItself(t *testing.T) {
	s := prepare(t)
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
	if c := ended(t, s, "k8s"); c.Status != "CREATE_COMPLETE" {
		t.Fatalf("the cluster is %s: %s", c.Status, c.Reason)
	}
	k := s.Kubectl(t, "k8s")
	masters, workers := s.Nodes(t, 1, 1)
	nodes := append(masters, workers...)
	s.Deploy(t, k, nodes)
	pods := running(t, k)
	before := map[string]string{}
	for _, n := range nodes {
		before[n.Name] = n.Inside(t, "readlink", plan.Current)
	}

	cluster := s.Show(t, "k8s").UUID
	s.KillDaemon(t)
	deployments := publishBad(t, s, cluster)
	s.StartDaemon(t)
	begun := time.Now()
	harness.Eventually(t, patience, "the reports that both nodes are rolled back", func() error {
		return rolledBack(s.Events(t, "k8s"), deployments)
	})
	t.Logf("both nodes have failed and gone back %s after the plan was there", time.Since(begun).Round(100*time.Millisecond))

	for _, e := range s.Events(t, "k8s") {
		if strings.HasPrefix(e.Reason, "Signal: deployment") && strings.Contains(e.Reason, " failed: ") {
			t.Logf("%s: %s", e.Resource, e.Reason)
			if !strings.Contains(e.Reason, kubelet) || !strings.Contains(e.Reason, "--no-such-flag") {
				t.Errorf("the reason does not name the unit and the flag: %s", e.Reason)
			}
		}
	}
	for _, n := range nodes {
		if now := n.Inside(t, "readlink", plan.Current); now != before[n.Name] {
			t.Errorf("%s: current is %s, want %s", n.Name, now, before[n.Name])
		}
		if state := n.Inside(t, "systemctl", "is-active", kubelet); strings.TrimSpace(state) != "active" {
			t.Errorf("%s: kubelet is %s", n.Name, state)
		}
	}
	harness.Eventually(t, patience, "both nodes to be ready", func() error { return k.Ready(2) })
	if now := running(t, k); now != pods {
		t.Errorf("the pods were touched:\nbefore %s\nnow    %s", pods, now)
	}
}

// running says which pods run, since when, and how often their containers were started.
func running(t *testing.T, k harness.Kubectl) string {
	t.Helper()
	return k.Run(t, "get", "pods", "-A", "--sort-by=.metadata.uid", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount} {.status.containerStatuses[*].state.running.startedAt}{"\n"}{end}`)
}

// publishBad adds to each node's plans one like its newest with a kubelet that cannot start, and
// returns their deployments.
func publishBad(t *testing.T, s *harness.System, cluster string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	control := filepath.Join(s.State, "control")
	db, err := store.Open(ctx, filepath.Join(control, "slipway.db"), store.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	sealer, err := store.OpenSealer(filepath.Join(control, "sealing.key"))
	must(t, err)
	system, err := pki.OpenSystem(ctx, pki.NewStoreRecords(db), sealer, time.Now)
	must(t, err)
	all, err := db.Nodes(ctx, cluster, "")
	must(t, err)
	var deployments []string
	for _, node := range all {
		row, err := db.CurrentPlan(ctx, node.ID)
		must(t, err)
		p, err := system.Plans.Open(ctx, row.Envelope)
		must(t, err)
		p.Generation, p.Deployment = p.Generation+1, uuid.NewString()
		p.Deadline, p.Tasks = plan.Duration(10*time.Minute), nil
		spoiled := false
		for i := range p.Units {
			if p.Units[i].Name == kubelet {
				p.Units[i].Exec.Args = append(p.Units[i].Exec.Args, "--no-such-flag")
				spoiled = true
			}
		}
		if !spoiled {
			t.Fatalf("the plan of %s has no %s", node.Name, kubelet)
		}
		canonical, err := p.Canonical()
		must(t, err)
		envelope, err := system.Plans.Sign(ctx, canonical)
		must(t, err)
		must(t, db.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.InsertPlan(ctx, &store.Plan{
				NodeID: node.ID, Generation: p.Generation, Deployment: p.Deployment, Digest: plan.DigestOf(canonical), Envelope: envelope,
			})
		}))
		deployments = append(deployments, p.Deployment)
	}
	return deployments
}

// rolledBack reports which deployment lacks its two reports.
func rolledBack(events []harness.Event, deployments []string) error {
	var errs []error
	for _, id := range deployments {
		for _, verdict := range []string{"failed", "rolled back"} {
			found := false
			for _, e := range events {
				found = found || strings.HasPrefix(e.Reason, fmt.Sprintf("Signal: deployment %s %s: ", id, verdict))
			}
			if !found {
				errs = append(errs, fmt.Errorf("deployment %s is not reported as %s", id, verdict))
			}
		}
	}
	return errors.Join(errs...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
