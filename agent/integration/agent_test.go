package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
)

const (
	alpha = "slipway-alpha.service"
	beta  = "slipway-beta.service"
)

// TestANodeFromFirstBootOn follows one node through its life. Each part begins where the one
// before ended.
func TestANodeFromFirstBootOn(t *testing.T) {
	w := newWorld(t)
	w.node.boot()
	w.follow([]part{
		{"the first plan gets healthy", firstPlan},
		{"components are isolated and run what the lock names", isolation},
		{"an agent that starts again does nothing to a healthy node", idempotence},
		{"a component that is killed restarts alone", killed},
		{"a component that hangs is restarted by its watchdog", hung},
		{"an agent killed in the middle of a plan completes it", killedAgent},
		{"a plan that fails goes back and says why", rollBack},
		{"a tampered image fails naming both digests", tamperedImage},
		{"a plan signed by another key is refused", foreignPlan},
		{"a flipped byte at rest is refused at the start", flippedByte},
		{"lost state is not begun anew", lostState},
		{"what somebody changes on the node is put right", drifted},
		{"certificates are renewed under running components", renewed},
		{"after a power loss the node comes up without its control plane", powerLoss},
	})
}

func firstPlan(t *testing.T, w *world) {
	w.apply(protocol.Healthy)
	var phases []protocol.Phase
	for _, signal := range w.reports() {
		if !slices.Contains(phases, signal.Phase) {
			phases = append(phases, signal.Phase)
		}
		if signal.Node != nodeID || signal.PlanDigest == "" || signal.ID == "" {
			t.Errorf("signal without its origin: %+v", signal)
		}
	}
	order := []protocol.Phase{protocol.Joined, protocol.Staged, protocol.Switched, protocol.Healthy}
	if got := slices.DeleteFunc(phases, func(p protocol.Phase) bool { return p == protocol.Pulling }); !slices.Equal(got, order) {
		t.Errorf("phases %v, want %v", got, order)
	}
	for _, unit := range []string{alpha, beta, plan.AgentUnit} {
		if state, kind := w.node.show(unit, "ActiveState"), w.node.show(unit, "Type"); state != "active" || kind != "notify" {
			t.Errorf("%s is %s of type %s, want active and notify", unit, state, kind)
		}
	}
	calls, err := os.ReadFile(w.node.Path("/var/lib/imported/calls"))
	if digest := w.images["pause"].Platform().Manifest; err != nil || strings.Count(string(calls), "--digest "+digest) != 1 {
		t.Errorf("the import tool was called as %q (%v), want once with %s", calls, err, digest)
	}
	for name, mode := range map[string]os.FileMode{"secrets/shared@1": 0o400, "pki/alpha/tls.key": 0o400, "pki/alpha/tls.crt": 0o444, "state/identity/key.pem": 0o600} {
		info, err := os.Stat(w.node.State(name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %v", name, info, err, mode)
		}
	}
}

// reports are the signals about deployments: those about conditions come when they will.
func (w *world) reports() []protocol.Signal {
	return slices.DeleteFunc(w.plane.Signals(), func(s protocol.Signal) bool { return s.Phase == protocol.Observed })
}

func isolation(t *testing.T, w *world) {
	main := w.node.show(alpha, "MainPID")
	child := w.node.do("cat", "/proc/"+main+"/task/"+main+"/children")
	status := w.node.do("cat", "/proc/"+child+"/status")
	for _, want := range []string{"Uid:\t991\t991\t991\t991", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("the component's status lacks %q:\n%s", want, status)
		}
	}
	if exe := w.node.do("readlink", "/proc/"+child+"/exe"); exe != "/usr/bin/alpha" {
		t.Errorf("it runs %q", exe)
	}
	if out, err := w.node.try("touch", filepath.Join("/proc", main, "root", "usr", "x")); err == nil {
		t.Errorf("its root is writable: %s", out)
	}
	out := w.node.do("slipway-agent", "verify")
	if !regexp.MustCompile(`result +([0-9]+) of ([0-9]+) are what was signed`).MatchString(out) || strings.Contains(out, "DIFFERS") {
		t.Errorf("verify says %q", out)
	}
	for _, unit := range []string{alpha, beta} {
		pid := w.node.show(unit, "MainPID")
		t.Logf("memory of exec of %s: %s", unit, strings.ReplaceAll(w.node.do("grep", "-E", "^(Rss|Pss|Private_Dirty|Pss_Anon):", "/proc/"+pid+"/smaps_rollup"), "\n", ", "))
	}
	pid := w.node.show(plan.AgentUnit, "MainPID")
	t.Logf("memory of the agent: %s", strings.ReplaceAll(w.node.do("grep", "-E", "^(Rss|Pss):", "/proc/"+pid+"/smaps_rollup"), "\n", ", "))
}

// invocations tells whether units were restarted between two calls.
func invocations(w *world) map[string]string {
	return map[string]string{alpha: w.node.show(alpha, "InvocationID"), beta: w.node.show(beta, "InvocationID")}
}

func idempotence(t *testing.T, w *world) {
	before, signals, polls := invocations(w), len(w.reports()), w.plane.Polls()
	w.node.do("systemctl", "restart", plan.AgentUnit)
	w.node.eventually("the agent asks for its plan twice", func() bool { return w.plane.Polls() >= polls+2 })
	if after := invocations(w); after[alpha] != before[alpha] || after[beta] != before[beta] {
		t.Errorf("units were restarted: %v, before %v", after, before)
	}
	if now := w.reports(); len(now) != signals {
		t.Errorf("new signals: %+v", now[signals:])
	}
}

func killed(t *testing.T, w *world) {
	before := invocations(w)
	main := w.node.show(alpha, "MainPID")
	w.node.do("kill", "-9", w.node.do("cat", "/proc/"+main+"/task/"+main+"/children"))
	w.node.eventually("alpha runs anew", func() bool {
		return w.node.show(alpha, "InvocationID") != before[alpha] && w.node.show(alpha, "ActiveState") == "active"
	})
	if after := invocations(w); after[beta] != before[beta] {
		t.Error("beta was restarted with it")
	}
	before = invocations(w)
	w.node.do("kill", "-9", w.node.show(alpha, "MainPID")) // of exec: its child dies with it
	w.node.eventually("alpha runs anew", func() bool {
		return w.node.show(alpha, "InvocationID") != before[alpha] && w.node.show(alpha, "ActiveState") == "active"
	})
}

func hung(t *testing.T, w *world) {
	before := invocations(w)
	resp, err := http.Get("http://" + w.alpha + "/hang")
	must(t, err)
	must(t, resp.Body.Close())
	w.node.eventually("alpha is restarted", func() bool {
		return w.node.show(alpha, "InvocationID") != before[alpha] && w.node.show(alpha, "ActiveState") == "active"
	})
	w.node.eventually("the log says why", func() bool {
		return strings.Contains(w.node.do("journalctl", "--no-pager", "-u", alpha), "its own check failed 2 times")
	})
}

func killedAgent(t *testing.T, w *world) {
	before := invocations(w)
	p, lock, signature := w.next(func(p *plan.Plan) {
		unitOf(p, beta).Exec.Args = append(unitOf(p, beta).Exec.Args, "--delay", "3s")
		unitOf(p, beta).Exec.Ready = &plan.Probe{URL: "http://" + w.beta + "/healthz"}
	})
	w.plane.Publish(w.ctx, p, lock, signature)
	w.plane.Await(w.ctx, p.Deployment, protocol.Switched)
	for range 3 {
		w.node.do("systemctl", "kill", "--signal=KILL", plan.AgentUnit)
		w.node.eventually("the agent is back", func() bool { return w.node.show(plan.AgentUnit, "ActiveState") == "active" })
	}
	w.plane.Await(w.ctx, p.Deployment, protocol.Healthy)
	after := invocations(w)
	if after[alpha] != before[alpha] {
		t.Error("alpha was restarted, though nothing of it changed")
	}
	if after[beta] == before[beta] {
		t.Error("beta was not restarted, though its arguments changed")
	}
	count := map[protocol.Phase]int{}
	for _, signal := range w.plane.Signals() {
		if signal.Deployment == p.Deployment && signal.Progress == nil {
			count[signal.Phase]++
		}
	}
	for phase, n := range count {
		if n != 1 {
			t.Errorf("signal %s came %d times", phase, n)
		}
	}
}

func rollBack(t *testing.T, w *world) {
	before := invocations(w)
	current := w.node.do("readlink", plan.Current)
	signal := w.apply(protocol.Failed, func(p *plan.Plan) {
		unitOf(p, beta).Exec.Args = []string{"--fail"}
		unitOf(p, beta).Text = strings.Replace(unitOf(p, beta).Text, "StartLimitIntervalSec=0", "StartLimitIntervalSec=60\nStartLimitBurst=3", 1)
	})
	if !strings.Contains(signal.Reason, beta) {
		t.Errorf("the reason does not name the unit: %s", signal.Reason)
	}
	if !strings.Contains(signal.Log, "--nonsense") || strings.Contains(signal.Log, "hunter2") {
		t.Errorf("the log lacks the cause or shows a secret: %s", signal.Log)
	}
	w.plane.Await(w.ctx, signal.Deployment, protocol.RolledBack)
	if now := w.node.do("readlink", plan.Current); now != current {
		t.Errorf("current is %s, want %s", now, current)
	}
	if after := invocations(w); after[alpha] != before[alpha] {
		t.Error("alpha was restarted")
	}
	if state := w.node.show(beta, "ActiveState"); state != "active" {
		t.Errorf("beta is %s", state)
	}
}

func tamperedImage(t *testing.T, w *world) {
	digest := w.images["beta-two"].Platform().Layers[0].Digest
	w.tampered.Store(digest)
	defer w.tampered.Store("")
	signal := w.apply(protocol.Failed, func(p *plan.Plan) {
		img := w.images["beta-two"]
		p.Images = append(p.Images, plan.Image{Name: "beta-two", Repository: img.Locked.Repository, Digest: img.Platform().Manifest})
		unitOf(p, beta).Exec.Image = "beta-two"
	})
	for _, part := range []string{"image beta-two", "expected digest " + digest, "found sha256:"} {
		if !strings.Contains(signal.Reason, part) {
			t.Errorf("the reason does not say %q: %s", part, signal.Reason)
		}
	}
	left, err := filepath.Glob(w.node.State("images/*"))
	must(t, err)
	hidden, err := filepath.Glob(w.node.State("images/.*"))
	must(t, err)
	if len(left) != 3 || len(hidden) != 0 {
		t.Errorf("in the store: %v %v, want the three images of before", left, hidden)
	}
	for _, unit := range []string{alpha, beta} {
		if state := w.node.show(unit, "ActiveState"); state != "active" {
			t.Errorf("%s is %s", unit, state)
		}
	}
}

func foreignPlan(t *testing.T, w *world) {
	other, _ := testimage.Key(t)
	p, lock, signature := w.next()
	w.plane.PublishSignedBy(w.ctx, other, p, lock, signature)
	signal := w.plane.Await(w.ctx, p.Deployment, protocol.Failed)
	if !strings.Contains(signal.Reason, "signature") {
		t.Errorf("reason %q", signal.Reason)
	}
	p, lock, _ = w.next()
	_, wrong, _ := testimage.Lock(t, other, w.images["alpha"])
	w.plane.Publish(w.ctx, p, lock, wrong)
	signal = w.plane.Await(w.ctx, p.Deployment, protocol.Failed)
	if !strings.Contains(signal.Reason, "none of the 1 trusted keys") {
		t.Errorf("reason %q", signal.Reason)
	}
}

func flippedByte(t *testing.T, w *world) {
	w.node.do("systemctl", "stop", alpha)
	path := filepath.Join(w.node.State("images"), w.images["alpha"].Platform().Manifest[7:], "root/usr/bin/alpha")
	flipByte(t, path)
	if out, err := w.node.try("systemctl", "start", alpha); err == nil {
		t.Errorf("it was started: %s", out)
	}
	if status := w.node.show(alpha, "ExecMainStatus"); status != "78" {
		t.Errorf("exit status %s, want 78", status)
	}
	if state := w.node.show(alpha, "ActiveState"); state != "failed" {
		t.Errorf("state %s, want failed (and no restart)", state)
	}
	out, err := w.node.try("slipway-agent", "verify")
	if err == nil || !regexp.MustCompile(`DIFFERS +image alpha file usr/bin/alpha`).MatchString(out) {
		t.Errorf("verify says %q, %v", out, err)
	}
	w.node.eventually("why says why", func() bool {
		out := w.node.do("slipway-agent", "why", "alpha")
		return strings.Contains(out, "[binary-differs]") && strings.Contains(out, "expected sha256")
	})
	flipByte(t, path)
	w.node.do("systemctl", "reset-failed", alpha)
	w.node.do("systemctl", "start", alpha)
}

func flipByte(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = file.Close() }()
	var one [1]byte
	_, err = file.ReadAt(one[:], 4096)
	must(t, err)
	one[0] ^= 1
	_, err = file.WriteAt(one[:], 4096)
	must(t, err)
}

func lostState(t *testing.T, w *world) {
	w.node.do("systemctl", "stop", alpha)
	w.node.do("mv", "/var/lib/alpha/member", "/var/lib/lost")
	if out, err := w.node.try("systemctl", "start", alpha); err == nil {
		t.Errorf("it was started: %s", out)
	}
	w.node.eventually("the log says why", func() bool {
		return strings.Contains(w.node.do("journalctl", "--no-pager", "-u", alpha, "-n", "5"), "/var/lib/alpha/member is missing")
	})
	w.node.do("mv", "/var/lib/lost", "/var/lib/alpha/member")
	w.node.do("systemctl", "reset-failed", alpha)
	w.node.do("systemctl", "start", alpha)
}

func powerLoss(t *testing.T, w *world) {
	w.plane.Close()
	w.node.powerOff()
	began := time.Now()
	w.node.boot()
	w.node.eventually("both components are active", func() bool {
		a, err := w.node.try("systemctl", "is-active", alpha, beta)
		return err == nil && a == "active\nactive"
	})
	t.Logf("components active %s after power on", time.Since(began).Round(time.Millisecond))
	if out := w.node.do("slipway-agent", "status"); !strings.Contains(out, fmt.Sprintf("%s  active (running)", alpha)) {
		t.Errorf("status says %s", out)
	}
}
