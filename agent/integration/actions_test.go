package integration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// TestRemoteActions has a real agent under a real systemd do every kind of action.
func TestRemoteActions(t *testing.T) {
	w := newWorld(t)
	w.node.boot()
	w.follow([]part{
		{"a node without a plan can be looked at", looksWithoutPlan},
		{"a unit is restarted once and alone", restartsOne},
		{"checks tell how the node is", checksNode},
		{"logs come without secrets", logsWithoutSecrets},
		{"images are fetched ahead without a switch", pullsAhead},
		{"certificates are renewed without a restart", renewsCertificates},
		{"the support archive comes without secrets", bundles},
		{"what is foreign or late is refused", refusesActions},
		{"a restart cut by a kill is told and not repeated", killedInAction},
		{"a plan being applied goes ahead", planGoesAhead},
		{"the machine reboots once and tells it afterwards", reboots},
	})
}

// act has the node do something, and waits until it is done.
func (w *world) act(kind action.Kind, arguments action.Arguments) protocol.Signal {
	w.t.Helper()
	request := w.plane.Act(w.ctx, nodeID, kind, arguments, nil)
	done := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionDone)
	if got := w.plane.Answers(request.ID); !slices.Equal(got, []protocol.ActionStatus{protocol.ActionStarted, protocol.ActionDone}) {
		w.t.Errorf("%s: told %v", kind, got)
	}
	return done
}

func results(signal protocol.Signal) string {
	var lines []string
	for _, r := range signal.Action.Results {
		lines = append(lines, fmt.Sprintf("%s %s %s", r.Name, r.Status, r.Message))
	}
	return strings.Join(lines, "\n")
}

func looksWithoutPlan(t *testing.T, w *world) {
	done := w.act(action.Check, action.Arguments{Checks: []action.CheckName{action.CheckDisk, action.CheckMemory, action.CheckUnits}})
	if got := results(done); !strings.Contains(got, "disk: DiskPressure ok") {
		t.Errorf("found:\n%s", got)
	}
	failed := w.plane.Act(w.ctx, nodeID, action.Restart, action.Arguments{Unit: alpha}, nil)
	if got := w.plane.AwaitAction(w.ctx, failed.ID, protocol.ActionFailed); !strings.Contains(got.Reason, "the node has no current plan") {
		t.Errorf("restarted without a plan: %q", got.Reason)
	}
	w.apply(protocol.Healthy)
}

func restartsOne(t *testing.T, w *world) {
	before := invocations(w)
	request := w.plane.Act(w.ctx, nodeID, action.Restart, action.Arguments{Unit: alpha}, nil)
	done := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionDone)
	after := invocations(w)
	if after[alpha] == before[alpha] || after[beta] != before[beta] {
		t.Errorf("invocations %v, before %v", after, before)
	}
	if got := results(done); !strings.Contains(got, "it is active (running) again, its process is "+w.node.show(alpha, "MainPID")) {
		t.Errorf("told %q", got)
	}
	// An agent that starts anew has not forgotten it.
	w.node.do("systemctl", "restart", plan.AgentUnit)
	w.plane.Replay(request)
	if refused := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionRefused); !strings.Contains(refused.Reason, "replayed: it ended as done") {
		t.Errorf("replayed: %q", refused.Reason)
	}
	if again := invocations(w); again[alpha] != after[alpha] {
		t.Error("a new agent has done it once more")
	}
}

func checksNode(t *testing.T, w *world) {
	got := results(w.act(action.Check, action.Arguments{Checks: action.Checks()}))
	for _, want := range []string{
		"units: UnitsFailed ok", "probes: " + alpha + " ok http://" + w.alpha, "disk: DiskPressure ok", "certificates: ", "match the signed lock",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in what was found:\n%s", want, got)
		}
	}
	w.node.do("systemctl", "stop", beta)
	defer w.node.do("systemctl", "start", beta)
	got = results(w.act(action.Check, action.Arguments{Checks: []action.CheckName{action.CheckProbes, action.CheckUnits}}))
	if !strings.Contains(got, "probes: "+beta+" trouble") || !strings.Contains(got, "units: UnitsFailed trouble") {
		t.Errorf("a stopped unit is not found:\n%s", got)
	}
}

func logsWithoutSecrets(t *testing.T, w *world) {
	secret := w.plane.Secrets["shared@1"]
	for _, text := range []string{"a plain line", "it is " + secret, "Authorization: Bearer abcdefghijklmnop"} {
		w.node.do("sh", "-c", "printf 'MESSAGE=%s\\n_X=1\\nSYSLOG_IDENTIFIER=alpha\\nOBJECT_SYSTEMD_UNIT="+alpha+"\\n' "+quoted(text)+" | logger --journald")
	}
	w.node.eventually("the lines are in the journal", func() bool {
		out, err := w.node.try("journalctl", "--quiet", "--no-pager", "--unit="+alpha, "--lines=10")
		return err == nil && strings.Contains(out, "Bearer")
	})
	done := w.act(action.Logs, action.Arguments{Unit: alpha, Lines: 10})
	if out := done.Action.Output; !strings.Contains(out, "a plain line") || strings.Contains(out, secret) || strings.Contains(out, "abcdefghijklmnop") {
		t.Errorf("the log came as:\n%s", out)
	}
	agent := w.act(action.Logs, action.Arguments{Unit: plan.AgentUnit, Lines: 200})
	if out := agent.Action.Output; !strings.Contains(out, "action begins") {
		t.Errorf("the agent's log came as:\n%s", out)
	}
}

func quoted(text string) string { return "'" + text + "'" }

func pullsAhead(t *testing.T, w *world) {
	image := w.images["beta-two"]
	before := invocations(w)
	p, lock, signature := w.next()
	w.number-- // it is not published
	arguments := action.Arguments{
		Images: []action.Image{{Name: "beta-two", Repository: image.Locked.Repository, Digest: image.Platform().Manifest}},
		Lock:   p.Lock, Registries: []string{w.registry.URL},
	}
	w.plane.Announced(lock, signature)
	done := w.act(action.Pull, arguments)
	if got := results(done); !strings.Contains(got, "fetched and verified") {
		t.Errorf("told %q", got)
	}
	if _, err := os.Stat(w.node.State("images/" + strings.TrimPrefix(image.Platform().Manifest, "sha256:") + "/image.json")); err != nil {
		t.Error(err)
	}
	if after := invocations(w); after[alpha] != before[alpha] || after[beta] != before[beta] {
		t.Error("something was restarted")
	}
	arguments.Images[0].Digest = w.images["beta"].Platform().Manifest
	foreign := w.plane.Act(w.ctx, nodeID, action.Pull, arguments, nil)
	if got := w.plane.AwaitAction(w.ctx, foreign.ID, protocol.ActionFailed); !strings.Contains(got.Reason, "by the signed lock") {
		t.Errorf("an image that is not the lock's: %q", got.Reason)
	}
}

func renewsCertificates(t *testing.T, w *world) {
	read := func() string {
		raw, err := os.ReadFile(w.node.State("pki/alpha/tls.crt"))
		must(t, err)
		return string(raw)
	}
	before, running := read(), invocations(w)
	done := w.act(action.Renew, action.Arguments{Certificates: []string{"alpha"}})
	if got := results(done); got != "alpha ok renewed for purpose serving" {
		t.Errorf("told %q", got)
	}
	if read() == before {
		t.Error("the certificate is the one from before")
	}
	if after := invocations(w); after[alpha] != running[alpha] {
		t.Error("the component was restarted")
	}
}

func bundles(t *testing.T, w *world) {
	request := w.plane.Act(w.ctx, nodeID, action.Bundle, action.Arguments{}, nil)
	done := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionDone)
	raw := w.plane.Archive(request.ID)
	packed, err := gzip.NewReader(bytes.NewReader(raw))
	must(t, err)
	names, content := []string{}, []byte{}
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		names = append(names, header.Name)
		part, err := io.ReadAll(archive)
		must(t, err)
		content = append(content, part...)
	}
	if len(names) < 5 || !strings.Contains(results(done), fmt.Sprintf("%d bytes", len(raw))) {
		t.Errorf("%v, told %q", names, results(done))
	}
	for _, secret := range []string{w.plane.Secrets["shared@1"], "one-time-token-of-the-test", "PRIVATE KEY-----\nM"} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("the archive holds %q", secret)
		}
	}
	if left, _ := os.ReadDir(w.node.State("state/archives")); len(left) > 0 {
		t.Errorf("left on the node: %v", left)
	}
}

func refusesActions(t *testing.T, w *world) {
	before := invocations(w)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	arguments := action.Arguments{Unit: alpha}
	foreign := w.plane.ActSignedBy(w.ctx, other, nodeID, action.Restart, arguments, nil)
	misled := w.plane.Act(w.ctx, cluster, action.Restart, arguments, nil)
	late := w.plane.Act(w.ctx, nodeID, action.Restart, arguments, func(r *action.Request) {
		r.Issued, r.Expires = r.Issued.Add(-time.Hour), r.Issued.Add(-time.Minute)
	})
	for id, want := range map[string]struct {
		status protocol.ActionStatus
		reason string
	}{
		foreign.ID: {protocol.ActionRefused, "signature"}, misled.ID: {protocol.ActionRefused, "it is for node"}, late.ID: {protocol.ActionExpired, "it expired at"},
	} {
		if got := w.plane.AwaitAction(w.ctx, id, want.status); !strings.Contains(got.Reason, want.reason) {
			t.Errorf("refused with %q, want %q", got.Reason, want.reason)
		}
	}
	if after := invocations(w); after[alpha] != before[alpha] {
		t.Error("it was restarted all the same")
	}
}

func killedInAction(t *testing.T, w *world) {
	// The component takes long to be ready, so that the kill comes in the middle.
	w.apply(protocol.Healthy, func(p *plan.Plan) {
		exec := unitOf(p, alpha).Exec
		exec.Args[slices.Index(exec.Args, "--delay")+1] = "10s"
	})
	before := invocations(w)
	request := w.plane.Act(w.ctx, nodeID, action.Restart, action.Arguments{Unit: alpha}, nil)
	w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionStarted)
	w.node.eventually("the restart is under way", func() bool { return w.node.show(alpha, "InvocationID") != before[alpha] })
	once := invocations(w)
	w.node.do("kill", "-9", w.node.show(plan.AgentUnit, "MainPID"))
	failed := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionFailed)
	if !strings.Contains(failed.Reason, "interrupted") {
		t.Errorf("told %q", failed.Reason)
	}
	w.node.eventually("alpha is active", func() bool { return w.node.show(alpha, "ActiveState") == "active" })
	if after := invocations(w); after[alpha] != once[alpha] {
		t.Error("it was restarted twice")
	}
	if got := w.plane.Answers(request.ID); !slices.Equal(got, []protocol.ActionStatus{protocol.ActionStarted, protocol.ActionFailed}) {
		t.Errorf("told %v", got)
	}
}

func planGoesAhead(t *testing.T, w *world) {
	p, lock, signature := w.next(func(p *plan.Plan) {
		exec := unitOf(p, alpha).Exec
		exec.Args[slices.Index(exec.Args, "--delay")+1] = "12s"
	})
	w.plane.Publish(w.ctx, p, lock, signature)
	w.plane.Await(w.ctx, p.Deployment, protocol.Switched)
	request := w.plane.Act(w.ctx, nodeID, action.Restart, action.Arguments{Unit: beta}, nil)
	refused := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionRefused)
	if !strings.Contains(refused.Reason, fmt.Sprintf("generation %d is being applied", p.Generation)) {
		t.Errorf("refused with %q", refused.Reason)
	}
	w.plane.Await(w.ctx, p.Deployment, protocol.Healthy)
	w.act(action.Restart, action.Arguments{Unit: beta})
}

func reboots(t *testing.T, w *world) {
	before := w.node.Leader()
	request := w.plane.Act(w.ctx, nodeID, action.Reboot, action.Arguments{}, nil)
	w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionStarted)
	must(t, w.node.AwaitReboot(w.ctx))
	done := w.plane.AwaitAction(w.ctx, request.ID, protocol.ActionDone)
	if got := results(done); !strings.Contains(got, "the machine has booted anew") {
		t.Errorf("told %q", got)
	}
	leader := w.node.Leader()
	if leader == 0 || leader == before {
		t.Errorf("process 1 is %d, before %d", leader, before)
	}
	w.node.eventually("both components are active", func() bool {
		a, err := w.node.try("systemctl", "is-active", alpha, beta)
		return err == nil && a == "active\nactive"
	})
	if w.node.Leader() != leader {
		t.Error("it has rebooted twice")
	}
	if got := w.plane.Answers(request.ID); !slices.Equal(got, []protocol.ActionStatus{protocol.ActionStarted, protocol.ActionDone}) {
		t.Errorf("told %v", got)
	}
}
