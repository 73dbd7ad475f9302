//go:build acceptance

package acceptance

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// partition is the table that cuts a node off in its own network.
const partition = `table inet sliptcut {
	chain in { type filter hook input priority -300; iifname != "lo" drop; }
	chain out { type filter hook output priority -300; oifname != "lo" drop; }
}
`

// beyondTheWatchdog is longer than a component's own check takes to give it up and systemd's
// watchdog after it.
const beyondTheWatchdog = 130 * time.Second

// TestWhatOnlyMissesItsPeersOrTimeIsNotRestarted cuts one master off from everything, squeezes
// the processor time of another's, and leaves a scheduler too little memory.
func TestWhatOnlyMissesItsPeersOrTimeIsNotRestarted(t *testing.T) {
	s, k := masters(t)
	m, _ := s.Nodes(t, 3, 1)
	before := countRestarts(t, m)

	cut, squeezed, starved := m[0], m[1], m[2]
	nft(t, cut, partition)
	for _, unit := range []string{"slipway-kube-apiserver.service", "slipway-kubelet.service", "slipway-containerd.service"} {
		squeezed.Inside(t, "systemctl", "set-property", "--runtime", unit, "CPUQuota=20%")
	}
	const scheduler = "slipway-kube-scheduler.service"
	limit := strings.TrimSpace(starved.Inside(t, "systemctl", "show", "--value", "--property=MemoryMax", scheduler))
	// What runs has its memory already, so it is the next start that meets the limit.
	starved.Inside(t, "systemctl", "set-property", "--runtime", scheduler, "MemoryMax=8M")
	starved.Inside(t, "systemctl", "kill", "--signal=KILL", scheduler)

	begun := time.Now()
	awaitCondition(t, starved, "UnitsFailed", "True", "Restarting")
	t.Logf("a scheduler without memory is told after %s", time.Since(begun).Round(time.Second))
	awaitCondition(t, cut, "EtcdUnavailable", "True", "NoQuorum")
	t.Logf("a member without peers is told after %s", time.Since(begun).Round(time.Second))
	time.Sleep(beyondTheWatchdog - time.Since(begun)) // the time is what is tested
	if _, err := k.Try("get", "nodes", "--request-timeout=10s"); err != nil {
		t.Errorf("the API does not answer meanwhile: %v", err)
	}
	aloneRestarted(t, m, before, []fault{{2, "kube-scheduler"}})

	nft(t, cut, "delete table inet sliptcut\n")
	for _, unit := range []string{"slipway-kube-apiserver.service", "slipway-kubelet.service", "slipway-containerd.service"} {
		squeezed.Inside(t, "systemctl", "set-property", "--runtime", unit, "CPUQuota=")
	}
	starved.Inside(t, "systemctl", "set-property", "--runtime", scheduler, "MemoryMax="+limit)
	harness.Eventually(t, patience, "four ready nodes", func() error { return k.Ready(4) })
	awaitCondition(t, cut, "EtcdUnavailable", "False", "Serving")
	awaitCondition(t, starved, "UnitsFailed", "True", "Restarting") // it is remembered for ten minutes
	harness.Eventually(t, patience, "the scheduler runs again", func() error {
		_, err := starved.TryInside("systemctl", "is-active", "--quiet", scheduler)
		return err
	})
	aloneRestarted(t, m, before, []fault{{2, "kube-scheduler"}})
}

// nft applies a ruleset in a node's network, with the host's program.
func nft(t *testing.T, n harness.Server, rules string) {
	t.Helper()
	if out, err := n.OnItsNetwork("sh", "-c", "printf '%s' \"$1\" | nft -f -", "sh", rules); err != nil {
		t.Fatalf("nft on %s: %v: %s", n.Name, err, out)
	}
}
