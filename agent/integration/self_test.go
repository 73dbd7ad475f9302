package integration

import (
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// TestTheAgentIsUpdatedByAPlan follows a node through good and bad agents.
func TestTheAgentIsUpdatedByAPlan(t *testing.T) {
	w := newWorld(t)
	w.node.boot()
	w.follow([]part{
		{"a plan's agent takes over and confirms it", newAgent},
		{"it is there again after a reboot", newAgentAfterReboot},
		{"one that crashes is given up and the generation before is restored", crashingAgent},
		{"one that hangs is given up when its trial ends", hangingAgent},
		{"one that was killed in its trial passes all the same", killedInTrial},
		{"a flipped byte in it leaves the OS layer's agent at work", spoiltAgent},
		{"a plan without one goes back to the OS layer's", ownAgent},
	})
}

func agentImage(w *world, name string) func(*plan.Plan) {
	return func(p *plan.Plan) {
		img := w.images[name]
		p.Images = append(p.Images, plan.Image{Name: name, Repository: img.Locked.Repository, Digest: img.Platform().Manifest})
		p.Agent = &plan.Agent{Image: name, Binary: "usr/bin/agent"}
	}
}

// program is the sha256 of what runs as the agent.
func (w *world) program() string {
	pid, err := w.node.try("systemctl", "show", "--value", "--property=MainPID", plan.AgentUnit)
	if err != nil {
		return ""
	}
	out, err := w.node.try("sha256sum", "/proc/"+pid+"/exe")
	if err != nil {
		return ""
	}
	sum, _, _ := strings.Cut(out, " ")
	return sum
}

func (w *world) sumOf(image string) string { return w.images[image].Platform().Files[0].SHA256 }

func (w *world) own() string {
	sum, _, _ := strings.Cut(w.node.do("sha256sum", plan.AgentBinary), " ")
	return sum
}

func newAgent(t *testing.T, w *world) {
	w.apply(protocol.Healthy)
	before := invocations(w)
	w.apply(protocol.Healthy, agentImage(w, "agent-two"))
	if got := w.program(); got != w.sumOf("agent-two") {
		t.Errorf("the agent is %s, want %s", got, w.sumOf("agent-two"))
	}
	if after := invocations(w); after[alpha] != before[alpha] || after[beta] != before[beta] {
		t.Error("components were restarted")
	}
	restarts := w.node.show(plan.AgentUnit, "NRestarts")
	if restarts != "1" {
		t.Errorf("the agent's unit was restarted %s times, want once", restarts)
	}
	w.apply(protocol.Healthy, agentImage(w, "agent-two")) // the same program: it stays
	if again := w.node.show(plan.AgentUnit, "NRestarts"); again != restarts {
		t.Errorf("an equal agent was started again: %s restarts", again)
	}
}

func newAgentAfterReboot(t *testing.T, w *world) {
	w.node.powerOff()
	w.node.boot()
	w.node.eventually("the plan's agent is back", func() bool { return w.program() == w.sumOf("agent-two") })
	w.node.eventually("both components are active", func() bool {
		states, err := w.node.try("systemctl", "is-active", alpha, beta)
		return err == nil && states == "active\nactive"
	})
}

// givenUp applies a plan whose agent is bad and checks what is left.
func givenUp(t *testing.T, w *world, image, reason string, changes ...func(*plan.Plan)) {
	before := invocations(w)
	current := w.node.do("readlink", plan.Current)
	signal := w.apply(protocol.Failed, append(changes, agentImage(w, image))...)
	if !strings.Contains(signal.Reason, image) || !strings.Contains(signal.Reason, reason) {
		t.Errorf("the reason lacks %q or %q: %s", image, reason, signal.Reason)
	}
	w.plane.Await(w.ctx, signal.Deployment, protocol.RolledBack)
	if now := w.node.do("readlink", plan.Current); now != current {
		t.Errorf("current is %s, want %s", now, current)
	}
	if after := invocations(w); after[alpha] != before[alpha] || after[beta] != before[beta] {
		t.Error("components were restarted")
	}
	w.node.eventually("the agent of before is back", func() bool { return w.program() == w.sumOf("agent-two") })
}

func crashingAgent(t *testing.T, w *world) {
	givenUp(t, w, "agent-crash", "was started 3 times")
}

func hangingAgent(t *testing.T, w *world) {
	givenUp(t, w, "agent-hang", "did not confirm its generation within 20s", func(p *plan.Plan) { p.Deadline = plan.Duration(20 * time.Second) })
}

func killedInTrial(t *testing.T, w *world) {
	w.apply(protocol.Healthy) // back to the OS layer's, so that the next one is new
	p, lock, signature := w.next(agentImage(w, "agent-two"), func(p *plan.Plan) {
		unitOf(p, beta).Exec.Args = append(unitOf(p, beta).Exec.Args, "--delay", "3s")
		unitOf(p, beta).Exec.Ready = &plan.Probe{URL: "http://" + w.beta + "/healthz"}
	})
	w.plane.Publish(w.ctx, p, lock, signature)
	w.node.eventually("the new agent is at work", func() bool { return w.program() == w.sumOf("agent-two") })
	w.node.do("systemctl", "kill", "--signal=KILL", plan.AgentUnit)
	w.plane.Await(w.ctx, p.Deployment, protocol.Healthy)
	if got := w.program(); got != w.sumOf("agent-two") {
		t.Errorf("the agent is %s, want %s", got, w.sumOf("agent-two"))
	}
}

func spoiltAgent(t *testing.T, w *world) {
	// The program runs: its file has to be replaced for a byte of it to change.
	path := w.node.do("readlink", "-f", plan.Current+"/roots/agent-two/usr/bin/agent")
	w.node.do("cp", path, path+".copy")
	w.node.do("sh", "-c", "printf x | dd of="+path+".copy bs=1 seek=4096 conv=notrunc status=none")
	w.node.do("mv", path+".copy", path)
	w.node.do("systemctl", "restart", plan.AgentUnit)
	w.node.eventually("the OS layer's agent works", func() bool { return w.program() == w.own() })
	w.node.eventually("the log says why", func() bool {
		return strings.Contains(w.node.do("journalctl", "--no-pager", "-u", plan.AgentUnit), "with sha256 "+w.sumOf("agent-two"))
	})
}

func ownAgent(t *testing.T, w *world) {
	w.apply(protocol.Healthy)
	if got := w.program(); got != w.own() {
		t.Errorf("the agent is %s, want the OS layer's", got)
	}
}
