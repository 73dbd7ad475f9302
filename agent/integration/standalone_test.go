package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/standalone"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/test/testnode"
)

// TestANodeWithoutAControlPlane boots a node that has nothing but a name, a key to believe and a
// plan in a file.
func TestANodeWithoutAControlPlane(t *testing.T) {
	key, public := testimage.Key(t)
	const file = "/var/lib/plans/today/plan.json"
	w := newWorld(t, func(c *testnode.Config) { c.Arguments = "run --plan " + file })
	n := w.node
	n.write(plan.AgentConfig, "node: "+nodeID+"\n", 0o644)
	n.write(filepath.Join(filepath.Dir(plan.AgentConfig), standalone.KeysFile), string(public), 0o644)
	n.write("/etc/slipway/secrets/shared@1", "put there by hand", 0o400)
	alone := func(p *plan.Plan) {
		p.Certificates = nil
		unit := unitOf(p, alpha)
		unit.Text = strings.Replace(unit.Text, "BindReadOnlyPaths=/var/lib/slipway/pki/alpha\n", "", 1)
		unit.Exec.Mounts = []string{"var/lib/alpha", "var/lib/slipway/current/files/alpha"}
	}
	// delivery returns the next plan as the file has it.
	delivery := func(changes ...func(*plan.Plan)) []byte {
		p, lock, signature := w.next(append(changes, alone)...)
		p.Issue(time.Now(), time.Hour)
		envelope, err := plan.Seal(w.ctx, p, key)
		must(t, err)
		raw, err := json.Marshal(protocol.Delivery{Envelope: envelope, LockBytes: lock, LockSignature: signature})
		must(t, err)
		return raw
	}
	said := func() string {
		out, _ := n.try("journalctl", "--no-pager", "--quiet", "--unit=slipway-agent.service")
		return out
	}
	runs := func(generation string) {
		t.Helper()
		n.eventually("generation "+generation, func() bool {
			link, err := os.Readlink(n.State("current"))
			if err != nil || filepath.Base(link) != generation {
				return false
			}
			out, err := n.try("systemctl", "is-active", alpha, beta)
			return err == nil && out == "active\nactive"
		})
	}
	n.boot()
	n.eventually("the agent", func() bool { return strings.Contains(said(), "the plan file cannot be used") })

	n.write(file, string(delivery()), 0o644) // with its directories
	runs("1")
	if raw, err := os.ReadFile(n.State("secrets/shared@1")); err != nil || string(raw) != "put there by hand" {
		t.Errorf("the secret is %q (%v)", raw, err)
	}
	// What runs is what it was, whatever is put into the file or becomes of it.
	before, err := n.try("systemctl", "show", "--value", "--property=MainPID", alpha)
	must(t, err)
	good := key
	key, _ = testimage.Key(t)
	n.write(file, string(delivery()), 0o644)
	n.eventually("a refusal", func() bool { return strings.Contains(said(), "a delivery is refused") })
	key = good
	n.write(file, "{", 0o644)
	must(t, os.Remove(n.Path(file)))
	n.eventually("the loss of the file", func() bool { return strings.Contains(said(), "no such file") })
	if after, err := n.try("systemctl", "show", "--value", "--property=MainPID", alpha); err != nil || after != before {
		t.Errorf("%s restarted (%v)", alpha, err)
	}
	// Another directory takes the place of the first, as a tool that makes versions does it.
	n.write("/var/lib/plans/v2/plan.json", string(delivery(func(p *plan.Plan) { p.Files[0].Content = "another\n" })), 0o644)
	must(t, os.Rename(n.Path("/var/lib/plans/today"), n.Path("/var/lib/plans/v1")))
	n.link("v2", "/var/lib/plans/today")
	runs("3")
	n.eventually("its confirmation", func() bool { return strings.Contains(said(), "phase=healthy deployment=deployment-3") })
	if out, err := n.try("slipway-agent", "verify"); err != nil {
		t.Errorf("verify: %s (%v)", out, err)
	}
	if polls := w.plane.Polls(); polls > 0 {
		t.Errorf("the control plane was asked %d times", polls)
	}
	if t.Failed() {
		t.Logf("journal of the node:\n%s", n.journal())
	}
}
