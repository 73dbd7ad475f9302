//go:build acceptance

package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"slipway.build/slipway/components/isolation"
	"slipway.build/slipway/test/harness"
)

// TestWhatIsSickIsRestartedAlone looks at every component of a real cluster through the kernel's
// eyes, and then hangs and kills one of each kind.
func TestWhatIsSickIsRestartedAlone(t *testing.T) {
	s, k := masters(t)
	m, w := s.Nodes(t, 3, 1)
	t.Run("every component is isolated", func(t *testing.T) {
		for _, n := range append(slices.Clone(m), w...) {
			isolated(t, n)
		}
	})
	t.Run("what hangs", func(t *testing.T) {
		// A stopped process is a hang that nothing but its own check can find.
		sick(t, m, []fault{{0, "etcd"}, {1, "kube-apiserver"}, {2, "kube-controller-manager"}, {2, "kube-scheduler"}, {0, "kubelet"}, {2, "kube-proxy"}, {0, "containerd"}},
			syscall.SIGSTOP)
		harness.Eventually(t, patience, "four ready nodes", func() error { return k.Ready(4) })
	})
	t.Run("what is killed", func(t *testing.T) {
		sick(t, m, []fault{{1, "etcd"}, {2, "kube-apiserver"}, {0, "kube-controller-manager"}, {0, "kube-scheduler"}, {1, "kubelet"}, {0, "kube-proxy"}, {1, "containerd"}},
			syscall.SIGKILL)
		harness.Eventually(t, patience, "four ready nodes", func() error { return k.Ready(4) })
	})
}

// masters makes a cluster of three masters and a worker.
func masters(t *testing.T) (*harness.System, harness.Kubectl) {
	s := prepare(t)
	s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 3, 1))
	if c := ended(t, s, "k8s"); c.Status != "CREATE_COMPLETE" {
		t.Fatalf("the cluster is %s: %s", c.Status, c.Reason)
	}
	k := s.Kubectl(t, "k8s")
	harness.Eventually(t, patience, "four ready nodes", func() error { return k.Ready(4) })
	return s, k
}

// isolated checks every component of a node, and shows what the kernel says.
func isolated(t *testing.T, n harness.Server) {
	t.Helper()
	table := &strings.Builder{}
	out := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "COMPONENT\t"+isolation.Heading)
	for _, e := range isolation.Expected(n.Master()) {
		p := component(t, n, e.Component)
		supervisor, err := isolation.Read(p.Parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range e.Faults(p, supervisor) {
			t.Errorf("%s on %s: %s", e.Component, n.Name, f)
		}
		fmt.Fprintln(out, e.Component+"\t"+p.Row())
	}
	out.Flush()
	t.Logf("%s\n%s", n.Name, table)
}

// component returns the component's process: the one of that program whose parent is in the
// same unit, which tells it from what others run of the same name.
func component(t *testing.T, n harness.Server, program string) *isolation.Process {
	t.Helper()
	for _, pid := range n.Processes(t, program) {
		p, err := isolation.Read(pid)
		if err == nil && p.Unit() == "slipway-"+program+".service" {
			return p
		}
	}
	t.Fatalf("no process %s on %s", program, n.Name)
	return nil
}

// fault is one component of one master.
type fault struct {
	master  int
	program string
}

// counts is how often systemd restarted each unit of each master.
type counts map[fault]string

func countRestarts(t *testing.T, m []harness.Server) counts {
	t.Helper()
	out := counts{}
	for i, n := range m {
		for _, e := range isolation.Expected(true) {
			text := n.Inside(t, "systemctl", "show", "--value", "--property=NRestarts", e.Unit())
			out[fault{i, e.Component}] = strings.TrimSpace(text)
		}
	}
	return out
}

// sick sends the signal to components, waits until systemd has restarted each of them, and
// checks that nothing else was.
func sick(t *testing.T, m []harness.Server, faults []fault, signal syscall.Signal) {
	t.Helper()
	before := countRestarts(t, m)
	old := map[fault]int{}
	for _, f := range faults {
		old[f] = component(t, m[f.master], f.program).PID
	}
	begun := time.Now()
	for _, f := range faults {
		if err := syscall.Kill(old[f], signal); err != nil {
			t.Fatalf("%s on %s: %v", f.program, m[f.master].Name, err)
		}
	}
	left := slices.Clone(faults)
	harness.Eventually(t, patience, "restarts of what is sick", func() error {
		left = slices.DeleteFunc(left, func(f fault) bool {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", old[f]))
			out, sErr := m[f.master].TryInside("systemctl", "is-active", "slipway-"+f.program+".service")
			if err == nil || sErr != nil || strings.TrimSpace(out) != "active" {
				return false
			}
			t.Logf("%s on %s runs anew %s after %v", f.program, m[f.master].Name, time.Since(begun).Round(time.Second), signal)
			return true
		})
		if len(left) > 0 {
			return fmt.Errorf("not yet: %v", left)
		}
		return nil
	})
	aloneRestarted(t, m, before, faults)
}

// aloneRestarted checks that of all units only those named were restarted since. One more thing
// is fair: who leads by a lease ends by itself when it cannot renew it, and says so.
func aloneRestarted(t *testing.T, m []harness.Server, before counts, faults []fault) {
	t.Helper()
	for f, now := range countRestarts(t, m) {
		restarted := now != before[f]
		switch {
		case slices.Contains(faults, f) && !restarted:
			t.Errorf("%s on %s was not restarted", f.program, m[f.master].Name)
		case !slices.Contains(faults, f) && restarted && !gaveUpItsLease(t, m[f.master], f.program):
			t.Errorf("%s on %s was restarted, too: %s times, before %s", f.program, m[f.master].Name, now, before[f])
			t.Log(m[f.master].Inside(t, "journalctl", "--no-pager", "--quiet", "--lines=15", "--unit=slipway-"+f.program))
		}
	}
}

// gaveUpItsLease reports whether the component has ended because it could not renew its lease.
func gaveUpItsLease(t *testing.T, n harness.Server, program string) bool {
	t.Helper()
	if program != "kube-controller-manager" && program != "kube-scheduler" {
		return false
	}
	log := n.Inside(t, "journalctl", "--no-pager", "--quiet", "--unit=slipway-"+program)
	if strings.Contains(log, "leaderelection lost") || strings.Contains(log, "Leaderelection lost") || strings.Contains(log, "leader election lost") {
		t.Logf("%s on %s led and gave up its lease", program, n.Name)
		return true
	}
	return false
}

// observed returns a condition of a node as its agent shows it.
func observed(n harness.Server, name string) (status, reason string) {
	raw, err := os.ReadFile(n.File("/run/slipway/status.json"))
	if err != nil {
		return "", err.Error()
	}
	var shown struct {
		Conditions []struct{ Type, Status, Reason string }
	}
	if err := json.Unmarshal(raw, &shown); err != nil {
		return "", err.Error()
	}
	for _, c := range shown.Conditions {
		if c.Type == name {
			return c.Status, c.Reason
		}
	}
	return "", "it has no such condition"
}

// awaitCondition waits until a node's agent shows a condition so.
func awaitCondition(t *testing.T, n harness.Server, name, status, reason string) {
	t.Helper()
	harness.Eventually(t, patience, fmt.Sprintf("%s is %s for %s on %s", name, status, reason, n.Name), func() error {
		if s, r := observed(n, name); s != status || r != reason {
			return fmt.Errorf("it is %s for %s", s, r)
		}
		return nil
	})
}
