package debug

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/unitlog"
)

// recent is how old an error of the log may be to count as what is wrong now, dialLimit bounds one
// attempt to reach somebody.
const (
	recent    = 5 * time.Minute
	dialLimit = time.Second
)

// whyNode answers for the node as a whole: the agent and the plan that it follows.
func (n *Node) whyNode(ctx context.Context, f *facts) *Answer {
	a := &Answer{Subject: "node", Kind: KindNode, Asked: n.asked(f)}
	a.State = "the agent has not run since the boot"
	if f.agent != nil {
		a.Subject, a.State = "node "+f.agent.Node, "the agent: "+f.agent.Doing
	}
	if status, err := n.Systemd.Status(ctx, plan.AgentUnit); err == nil {
		a.Unit = unitOf(status)
		if status.Active != "active" {
			a.cause("agent-down", fmt.Sprintf("the agent does not run: %s; what it started goes on", inWords(status.State)),
				"start it: systemctl start "+plan.AgentUnit, "read its log: slipway-agent logs "+plan.AgentUnit)
		}
	} else {
		a.cause("systemd-away", err.Error(), "run it as root on the node itself")
	}
	if f.gen != nil {
		states, err := n.Systemd.States(ctx, started(f.gen.Plan))
		for _, name := range started(f.gen.Plan) {
			if err == nil && states[name].Active != "active" {
				a.Waits = append(a.Waits, Wait{For: "unit", On: name, Last: inWords(states[name])})
			}
		}
	}
	n.nodeCauses(ctx, f, a)
	return a
}

func started(p *plan.Plan) []string {
	var names []string
	for _, unit := range p.Units {
		if unit.Start {
			names = append(names, unit.Name)
		}
	}
	return names
}

// nodeCauses says what is wrong with the node beyond its units.
func (n *Node) nodeCauses(ctx context.Context, f *facts, a *Answer) {
	if f.genErr != nil {
		a.cause("generation-damaged", "the current generation cannot be read: "+f.genErr.Error(), "compare the whole node: slipway-agent verify")
	}
	if f.journalErr != nil {
		a.cause("journal-damaged", f.journalErr.Error(), "look whether the disk is full or broken: df /var/lib/slipway; dmesg")
	}
	n.diskFull(a)
	if f.checkErr != nil {
		n.chainBroken(f, a)
	}
	lines := n.unitLog(ctx, plan.AgentUnit)
	n.pulling(ctx, f, a)
	n.controlPlaneAway(ctx, f, a, lines)
	n.refused(a, lines)
	f.abandoned(a, nil)
	for _, condition := range f.conditions() {
		a.cause("condition", condition, "see slipway-agent status")
	}
	if a.Kind == KindNode {
		a.Log = matter(lines)
	}
}

// conditions are the node's conditions that mean trouble, in words.
func (f *facts) conditions() []string {
	if f.agent == nil {
		return nil
	}
	var out []string
	for _, c := range f.agent.Conditions {
		if c.Status == "True" {
			out = append(out, fmt.Sprintf("condition %s (%s) since %s: %s", c.Type, c.Reason, c.Since.Format(time.RFC3339), c.Message))
		}
	}
	return out
}

// unitLog returns the last lines of a unit's log, none when it cannot be read.
func (n *Node) unitLog(ctx context.Context, unit string) []unitlog.Line {
	lines, err := n.Lines(ctx, unitlog.Query{Units: []string{unit}, Lines: unitLines})
	if err != nil {
		return nil
	}
	return lines
}

// diskFull looks at the file system of the node's state.
func (n *Node) diskFull(a *Answer) {
	var stat unix.Statfs_t
	if err := unix.Statfs(n.Root, &stat); err != nil {
		return
	}
	const (
		mebi    = 1 << 20
		minFree = 16 // MiB
	)
	free := stat.Bavail * uint64(stat.Bsize) / mebi
	if free < minFree || (stat.Files > 0 && stat.Ffree == 0) {
		a.cause("disk-full", fmt.Sprintf("the disk is full: %s has %d MiB and %d inodes free", n.Root, free, stat.Ffree),
			"find what fills it: du -xh --max-depth=2 /var | sort -h | tail", "the agent goes on by itself once there is space")
	}
}

// refused tells of a plan that the agent did not accept lately, if nothing newer was accepted.
func (n *Node) refused(a *Answer, lines []unitlog.Line) {
	for i := len(lines) - 1; i >= 0; i-- {
		text := lines[i].Message
		if strings.Contains(text, "msg=signal phase=joined") {
			return
		}
		if strings.Contains(text, "a delivery is refused") || strings.Contains(text, "a plan is refused") {
			a.cause("plan-refused", "the newest plan was refused at "+lines[i].Time.Format(time.TimeOnly)+": "+logError(text),
				"what runs goes on; the control plane knows of it and has to send another plan",
				"if a lock's or plan's key was changed, compare "+n.TrustDir+" with what signs")
			return
		}
	}
}

// abandoned tells of newer plans that failed on this node. With a unit it counts only what
// concerns it.
func (f *facts) abandoned(a *Answer, unit *plan.Unit) {
	for i := len(f.entries) - 1; i >= 0; i-- {
		entry := f.entries[i]
		if entry.Generation <= f.number {
			return
		}
		if entry.Step != journal.Abandoned && entry.Step != journal.Returning {
			continue
		}
		if unit != nil && !strings.Contains(entry.Reason, unit.Name) {
			continue
		}
		what := fmt.Sprintf("generation %d failed here: %s", entry.Generation, entry.Reason)
		if f.number != 0 {
			what = fmt.Sprintf("generation %d was rolled back to generation %d: %s", entry.Generation, f.number, entry.Reason)
		}
		a.cause("rolled-back", what,
			"correct the plan at the control plane; this one is not tried again")
		return
	}
}

// pulling tells of a plan that is being fetched and does not get on.
func (n *Node) pulling(ctx context.Context, f *facts, a *Answer) {
	last := f.newest()
	if last == nil || last.Step != journal.Accepted || f.agent == nil {
		return
	}
	var away []string
	for _, registry := range f.agent.Registries {
		if err := dial(ctx, registry); err != nil {
			away = append(away, fmt.Sprintf("%s: %v", registry, err))
		}
	}
	if len(away) > 0 && len(away) == len(f.agent.Registries) {
		a.cause("registry-away", fmt.Sprintf("plan %d waits for its images, and no registry answers: %s", last.Generation, strings.Join(away, "; ")),
			"bring a registry of the plan back; the agent goes on by itself where it stopped",
			"the plan fails by its deadline otherwise, and what runs now goes on")
	}
	progress := ""
	if p := f.agent.Progress; p != nil && p.BytesTotal > 0 {
		progress = fmt.Sprintf("%d of %d bytes", p.BytesDone, p.BytesTotal)
	}
	a.Waits = append(a.Waits, Wait{For: "images", On: fmt.Sprintf("generation %d", last.Generation), Last: progress})
}

// controlPlaneAway says whether the control plane can be reached, and what waits for it.
func (n *Node) controlPlaneAway(ctx context.Context, f *facts, a *Answer, lines []unitlog.Line) {
	known, err := n.known()
	if err != nil {
		a.cause("not-joined", "this node has not joined: "+err.Error(), "read why: slipway-agent logs "+plan.AgentUnit)
		return
	}
	said := ""
	for _, line := range lines {
		if n.Now().Sub(line.Time) < recent && containsAny(line.Message, "no plan from the control plane", "signals are not delivered", "join failed") {
			said = logError(line.Message)
		}
	}
	if err := dial(ctx, known.ControlPlane); err != nil {
		said = err.Error()
	} else if said == "" || len(f.queued) == 0 {
		return
	}
	a.cause("control-plane-away", fmt.Sprintf("the control plane %s cannot be reached (%s); %d signals wait in the outbox", known.ControlPlane, said, len(f.queued)),
		"what runs goes on without it; signals are sent when it is back", "check the way there: curl -k "+known.ControlPlane)
}

// dial connects to the host of a URL and closes the connection.
func dial(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

func containsAny(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// logError returns the error of a line in slog's text form, the line when it has none.
func logError(text string) string {
	_, rest, ok := strings.Cut(text, "error=")
	if !ok {
		return text
	}
	return strings.Trim(strings.ReplaceAll(rest, `\"`, `"`), `"`)
}
