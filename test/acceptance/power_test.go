//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// alone is how long one master of three has to bear being alone.
const alone = 10 * time.Minute

// TestThreeMastersAndThreeWorkers uses one large cluster and then takes its masters away.
func TestThreeMastersAndThreeWorkers(t *testing.T) {
	s := prepare(t)
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 3, 3))
	if c := ended(t, s, "k8s", 5*time.Minute); c.Status != "CREATE_COMPLETE" {
		t.Fatalf("the cluster is %s: %s", c.Status, c.Reason)
	}
	t.Logf("3+3 complete after %s", time.Since(begun).Round(time.Millisecond))
	k := s.Kubectl(t, "k8s")
	step := func(name string, f func(*testing.T)) {
		begun := time.Now()
		if !t.Run(name, f) {
			t.FailNow()
		}
		t.Logf("%s: %s", name, time.Since(begun).Round(100*time.Millisecond))
	}
	step("all nodes are ready", func(t *testing.T) {
		harness.Eventually(t, time.Minute, "six ready nodes", func() error { return k.Ready(6) })
		t.Log("\n" + k.Run(t, "get", "nodes", "-o", "wide"))
	})
	step("a deployment runs on every node", func(t *testing.T) { useAllNodes(t, s, k) })
	step("a master is killed and comes back", func(t *testing.T) { killOneMaster(t, s, k) })
	step("a master alone restarts nothing", func(t *testing.T) { oneMasterAlone(t, s, k) })
}

func useAllNodes(t *testing.T, s *harness.System, k harness.Kubectl) {
	masters, workers := s.Nodes(t, 3, 3)
	pods := s.Deploy(t, k, append(masters, workers...))
	t.Log("\n" + k.Run(t, "get", "pods", "-o", "wide"))
	for _, p := range pods {
		k.UsePod(t, p)
	}
	k.ReachService(t, pods)
	k.ReachOutside(t, pods)
}

// killOneMaster takes the power from a master, uses the API through the load balancer meanwhile,
// and switches it on again.
func killOneMaster(t *testing.T, s *harness.System, k harness.Kubectl) {
	masters, _ := s.Nodes(t, 3, 3)
	victim := masters[0]
	s.Slipway(t, "local", "kill", victim.Name)
	killed := time.Now()
	worst, calls, failures := callFor(k, 30*time.Second)
	t.Logf("%s killed: %d of %d calls in 30 s failed, the slowest took %s", victim.Name, failures, calls, worst.Round(time.Millisecond))
	if failures == calls {
		t.Error("nothing answers through the load balancer")
	}
	if err := quorum(s.Servers(t), 2); err != nil {
		t.Error(err)
	}
	// Writing needs etcd's quorum.
	k.Run(t, "create", "configmap", "written-with-two", "--from-literal=masters=2")
	for range 20 {
		if out, err := k.Try("get", "--raw", "/readyz", "--request-timeout=5s"); err != nil || out != "ok" {
			t.Errorf("half a minute after the failure: %q, %v", out, err)
		}
	}
	harness.Eventually(t, 2*time.Minute, "the killed master is not ready", func() error {
		if out := k.Run(t, "get", "node", victim.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`); out == "True" {
			return fmt.Errorf("Ready is %s", out)
		}
		return nil
	})
	t.Logf("not Ready %s after the failure", time.Since(killed).Round(time.Second))
	s.Slipway(t, "local", "start", victim.Name)
	started := time.Now()
	harness.Eventually(t, 2*time.Minute, "six ready nodes", func() error { return k.Ready(6) })
	t.Logf("all six Ready %s after it was started", time.Since(started).Round(time.Millisecond))
	harness.Eventually(t, time.Minute, "three members of etcd that see each other", func() error { return quorum(s.Servers(t), 3) })
}

// quorum asks each running master's etcd, over its loopback, whether it has a leader and how many
// peers it is connected to.
func quorum(servers []harness.Server, members int) error {
	asked := 0
	for _, m := range servers {
		if !m.Master() || m.PID == 0 {
			continue
		}
		asked++
		out, err := m.OnItsNetwork("curl", "--silent", "--show-error", "--max-time", "5", "http://127.0.0.1:2381/metrics")
		if err != nil {
			return err
		}
		peers, leader := 0, false
		for _, l := range strings.Split(out, "\n") {
			switch {
			case l == "etcd_server_has_leader 1":
				leader = true
			case strings.HasPrefix(l, "etcd_network_active_peers{") && strings.HasSuffix(l, " 1"):
				peers++
			}
		}
		if !leader || peers != members-1 {
			return fmt.Errorf("%s: leader %v, connected to %d peers, want %d", m.Name, leader, peers, members-1)
		}
	}
	if asked != members {
		return fmt.Errorf("%d masters run, want %d", asked, members)
	}
	return nil
}

// callFor calls the API for a while and says how it went.
func callFor(k harness.Kubectl, long time.Duration) (worst time.Duration, calls, failures int) {
	for end := time.Now().Add(long); time.Now().Before(end); calls++ {
		begun := time.Now()
		if _, err := k.Try("get", "nodes", "--request-timeout=5s"); err != nil {
			failures++
		}
		worst = max(worst, time.Since(begun))
	}
	return worst, calls, failures
}

// oneMasterAlone switches all masters off and one on again; after ten minutes a second one.
func oneMasterAlone(t *testing.T, s *harness.System, k harness.Kubectl) {
	masters, _ := s.Nodes(t, 3, 3)
	var off sync.WaitGroup
	for _, m := range masters {
		off.Add(1)
		go func() {
			defer off.Done()
			if _, err := s.TrySlipway("local", "stop", m.Name); err != nil {
				t.Error(err)
			}
		}()
	}
	off.Wait()
	s.Slipway(t, "local", "start", masters[1].Name)
	only := find(t, s, masters[1].Name)
	long := alone
	if text := os.Getenv("SLIPWAY_ALONE"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	for begun, last := time.Now(), ""; time.Since(begun) < long; time.Sleep(10 * time.Second) {
		states, restarted := restarts(t, only)
		if states != last {
			t.Logf("after %s alone: %s", time.Since(begun).Round(time.Second), states)
			last = states
		}
		if len(restarted) > 0 {
			t.Fatalf("after %s alone: restarted: %v", time.Since(begun).Round(time.Second), restarted)
		}
	}
	if _, err := k.Try("get", "--raw", "/readyz", "--request-timeout=5s"); err == nil {
		t.Error("the API is ready without a quorum")
	}
	s.Slipway(t, "local", "start", masters[2].Name)
	began := time.Now()
	harness.Eventually(t, 2*time.Minute, "the API with two of three masters", func() error {
		_, err := k.Try("get", "--raw", "/readyz", "--request-timeout=5s")
		return err
	})
	t.Logf("the API is ready %s after the second master was started", time.Since(began).Round(time.Millisecond))
	harness.Eventually(t, time.Minute, "a quorum of two", func() error { return quorum(s.Servers(t), 2) })
	k.Run(t, "create", "configmap", "written-again", "--from-literal=masters=2")
	states, restarted := restarts(t, find(t, s, masters[1].Name))
	t.Logf("then: %s", states)
	if len(restarted) > 0 {
		t.Errorf("restarted: %v", restarted)
	}
}

func find(t *testing.T, s *harness.System, name string) harness.Server {
	t.Helper()
	for _, one := range s.Servers(t) {
		if one.Name == name && one.PID != 0 {
			return one
		}
	}
	t.Fatalf("%s does not run", name)
	return harness.Server{}
}

// restarts asks systemd for the states of all our units on the node, and which of them it has
// restarted since the boot.
func restarts(t *testing.T, n harness.Server) (states string, restarted []string) {
	t.Helper()
	out, err := n.TryInside("systemctl", "show", "slipway-*.service", "--property=Id,ActiveState,SubState,NRestarts")
	if err != nil {
		return "systemd does not answer yet", nil
	}
	count := map[string]int{}
	for _, block := range strings.Split(strings.TrimSpace(out), "\n\n") {
		fields := map[string]string{}
		for _, l := range strings.Split(block, "\n") {
			key, value, _ := strings.Cut(l, "=")
			fields[key] = value
		}
		count[fields["ActiveState"]+"/"+fields["SubState"]]++
		if fields["NRestarts"] != "0" {
			restarted = append(restarted, fields["Id"]+" "+fields["NRestarts"])
		}
	}
	return fmt.Sprint(count), restarted
}

// TestACreationWithOneCallAtATimeCompletes bounds the cloud calls in flight at one: waits for
// signals must not count, or three masters that need each other never become healthy.
func TestACreationWithOneCallAtATimeCompletes(t *testing.T) {
	s := prepare(t)
	s.KillDaemon(t)
	s.StartDaemon(t, "--parallel", "1")
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 3, 1))
	c := ended(t, s, "k8s", 5*time.Minute)
	t.Logf("after %s: %s %s", time.Since(begun).Round(time.Millisecond), c.Status, c.Reason)
	if c.Status != "CREATE_COMPLETE" {
		t.Fatalf("the cluster is %s: %s", c.Status, c.Reason)
	}
	k := s.Kubectl(t, "k8s")
	harness.Eventually(t, time.Minute, "four ready nodes", func() error { return k.Ready(4) })
}

// TestACreationWhoseMasterNeverBootsFailsByItsDeadline takes the power from a master as soon as
// it is there.
func TestACreationWhoseMasterNeverBootsFailsByItsDeadline(t *testing.T) {
	s := prepare(t)
	begun := time.Now()
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 3, 1, `"create_timeout": 2`))
	victim := ""
	harness.Eventually(t, time.Minute, "a master", func() error {
		for _, one := range s.Servers(t) {
			if one.Master() {
				victim = one.Name
				return nil
			}
		}
		return os.ErrNotExist
	})
	s.Slipway(t, "local", "kill", victim)
	t.Logf("%s killed after %s", victim, time.Since(begun).Round(time.Millisecond))
	c := ended(t, s, "k8s", 3*time.Minute)
	took := time.Since(begun)
	t.Logf("after %s: %s: %s", took.Round(time.Millisecond), c.Status, c.Reason)
	if c.Status != "CREATE_FAILED" || !strings.Contains(c.Reason, victim) || !strings.Contains(c.Reason, "deadline") {
		t.Errorf("the cluster is %s: %s", c.Status, c.Reason)
	}
	if took < 110*time.Second || took > 150*time.Second {
		t.Errorf("it took %s, the deadline is two minutes", took)
	}
}
