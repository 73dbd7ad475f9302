package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// drifted changes things of a confirmed generation, as somebody with a shell would.
func drifted(t *testing.T, w *world) {
	signal := w.apply(protocol.Healthy, func(p *plan.Plan) { p.Drift = nil })
	w.node.eventually("the generation is guarded", func() bool {
		return strings.Contains(w.node.do("slipway-agent", "logs", "-n", "0", "agent"), fmt.Sprintf("the current generation is guarded\" generation=%d", w.number))
	})
	for _, part := range []struct {
		name   string
		change func()
		right  func() bool
	}{
		{"a unit file", func() {
			path := w.node.State("current/units/" + beta)
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, []byte("[Service]\nExecStart=/bin/false\n"), 0o644))
		}, func() bool {
			raw, err := os.ReadFile(w.node.State("current/units/" + beta))
			return err == nil && strings.Contains(string(raw), "slipway-exec")
		}},
		{"a configuration file", func() { must(t, os.Remove(w.node.State("current/files/alpha/config"))) }, func() bool {
			raw, err := os.ReadFile(w.node.State("current/files/alpha/config"))
			return err == nil && string(raw) == "config\n"
		}},
		{"an exec file", func() { must(t, os.Truncate(w.node.State("current/exec/"+alpha+".json"), 0)) }, func() bool {
			info, err := os.Stat(w.node.State("current/exec/" + alpha + ".json"))
			return err == nil && info.Size() > 0
		}},
		{"the mode of a key", func() { must(t, os.Chmod(w.node.State("pki/alpha/tls.key"), 0o644)) }, func() bool {
			info, err := os.Stat(w.node.State("pki/alpha/tls.key"))
			return err == nil && info.Mode().Perm() == 0o400
		}},
	} {
		before := invocations(w)
		began := time.Now()
		part.change()
		w.node.eventually(part.name+" is right again", part.right)
		t.Logf("%s: right again after %s", part.name, time.Since(began).Round(time.Millisecond))
		if after := invocations(w); after[alpha] != before[alpha] || after[beta] != before[beta] {
			t.Errorf("%s: units were restarted, though nothing ran by the change", part.name)
		}
	}
	// A unit that systemd was made to load is the one case in which a running unit is restarted.
	before := invocations(w)
	path := w.node.State("current/units/" + beta)
	text, err := os.ReadFile(path)
	must(t, err)
	w.node.do("sh", "-c", "sed 's/^WatchdogSec=.*/WatchdogSec=77s/' "+plan.Current+"/units/"+beta+" > /var/lib/slipway/changed && mv /var/lib/slipway/changed "+plan.Current+"/units/"+beta+" && systemctl daemon-reload")
	w.node.eventually("beta's unit is right and loaded", func() bool {
		raw, err := os.ReadFile(path)
		return err == nil && string(raw) == string(text) && w.node.show(beta, "WatchdogUSec") == watchdog && w.node.show(beta, "NeedDaemonReload") == "no"
	})
	if after := invocations(w); after[alpha] != before[alpha] {
		t.Error("alpha was restarted, though only beta's unit was changed")
	}
	w.well()
	changedBinary(t, w)
	if out := w.node.do("slipway-agent", "verify"); strings.Contains(out, "DIFFERS") {
		t.Errorf("verify says %s", out)
	}
	if out := w.node.do("slipway-agent", "status"); !strings.Contains(out, "Repaired") {
		t.Errorf("status does not tell of the repairs (%s):\n%s", signal.Deployment, out)
	}
}

// changedBinary flips a byte of a component that does not run: a running one cannot be written to.
func changedBinary(t *testing.T, w *world) {
	w.node.do("systemctl", "stop", alpha)
	began := time.Now()
	flipByte(t, w.binary())
	w.node.eventually("it is moved aside and fetched anew", func() bool {
		aside, _ := filepath.Glob(w.node.State("quarantine/*alpha"))
		out, err := w.node.try("slipway-agent", "why", "image:alpha")
		return len(aside) == 1 && err == nil && !strings.Contains(out, "binary-differs")
	})
	t.Logf("a binary: fetched anew after %s", time.Since(began).Round(time.Millisecond))
	w.restart(alpha)
	w.well()
}
