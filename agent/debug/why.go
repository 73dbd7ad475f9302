package debug

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/redact"
	"slipway.build/slipway/agent/unitlog"
)

// Why tells how a subject came to be as it is, and what is wrong with it: a unit by its name or
// its short name, an image by its name or digest ("image:NAME" when a unit has the name, too),
// and the node itself for "" or "agent".
func (n *Node) Why(ctx context.Context, subject string) *Answer {
	f := n.look(ctx)
	var a *Answer
	unit, image, isImage := f.find(subject)
	switch {
	case subject == "" || subject == "node" || subject == "agent" || subject == plan.AgentUnit:
		a = n.whyNode(ctx, f)
	case unit != nil:
		a = n.whyUnit(ctx, f, unit)
	case isImage:
		a = n.whyImage(f, image)
	default:
		a = n.whyUnknown(ctx, f, subject)
	}
	n.redact(a)
	return a
}

// find looks a subject up in the current generation's plan; units come before images.
func (f *facts) find(subject string) (unit *plan.Unit, image plan.Image, isImage bool) {
	if f.gen == nil {
		return nil, plan.Image{}, false
	}
	name, only := strings.CutPrefix(subject, "image:")
	if !only {
		if unit := match(f.gen.Plan.Units, name); unit != nil {
			return unit, plan.Image{}, false
		}
	}
	const shortestDigest = 8
	hex := strings.TrimPrefix(name, "sha256:")
	for _, image := range f.gen.Plan.Images {
		if image.Name == name || (len(hex) >= shortestDigest && strings.HasPrefix(strings.TrimPrefix(image.Digest, "sha256:"), hex)) {
			return nil, image, true
		}
	}
	return nil, plan.Image{}, false
}

func match(units []plan.Unit, name string) *plan.Unit {
	for i, unit := range units {
		if name == unit.Name || name == short(unit.Name) || name+".service" == unit.Name {
			return &units[i]
		}
	}
	return nil
}

// short is a unit's name as people say it.
func short(unit string) string {
	return strings.TrimPrefix(strings.TrimSuffix(unit, ".service"), "slipway-")
}

func (n *Node) whyImage(f *facts, image plan.Image) *Answer {
	a := &Answer{Subject: image.Name, Kind: KindImage, Asked: n.asked(f), Image: n.origin(f, image)}
	for _, unit := range f.gen.Plan.Units {
		if unit.Exec != nil && (unit.Exec.Image == image.Name || slices.Contains(unit.Exec.Tools, image.Name)) {
			a.UsedBy = append(a.UsedBy, unit.Name)
		}
	}
	if image.Import != "" {
		a.UsedBy = append(a.UsedBy, "pods, as "+image.Import)
	}
	a.State = "in the store"
	if !a.Image.Stored {
		a.State = "not in the store"
		a.cause("image-missing", fmt.Sprintf("image %s (%s) is in the plan and not in the store", image.Name, image.Digest),
			"look what the agent does: slipway-agent status", "have it fetched: systemctl restart "+plan.AgentUnit)
	}
	n.imageCauses(f, a)
	n.diskFull(a)
	return a
}

// imageCauses says what is wrong with the chain of a.Image.
func (n *Node) imageCauses(f *facts, a *Answer) {
	for _, file := range a.Image.Files {
		if file.Found != file.Expected {
			a.cause("binary-differs",
				fmt.Sprintf("%s of image %s is not what the signed lock names: expected sha256 %s, found %s; it is never started", file.Path, a.Image.Name, file.Expected, file.Found),
				"find who changed "+n.store().Images.Root(a.Image.Manifest)+" and look at the whole node: slipway-agent verify",
				"the agent fetches it anew by itself; if it does not run: systemctl restart "+plan.AgentUnit)
		}
	}
	if a.Image.Broken != "" {
		n.chainBroken(f, a)
	}
}

// chainBroken says why the current generation cannot be proven any more.
func (n *Node) chainBroken(f *facts, a *Answer) {
	text := f.checkErr.Error()
	if strings.Contains(text, "trusted") && strings.Contains(text, "key") {
		a.cause("lock-untrusted", "the lock that this node runs by cannot be proven: "+text,
			"compare the keys in "+n.TrustDir+" with the key that signs your locks (they come with the OS image)",
			"what runs goes on; no new plan is accepted until the lock is signed by a key in there")
		return
	}
	a.cause("plan-unproven", "the current plan cannot be proven any more: "+text,
		"compare the whole node: slipway-agent verify", "have the plan delivered anew: systemctl restart "+plan.AgentUnit)
}

// whyUnknown answers for a name that the current generation does not have: another generation on
// disk may have it, or there are names like it.
func (n *Node) whyUnknown(ctx context.Context, f *facts, subject string) *Answer {
	a := &Answer{Subject: subject, Kind: KindUnknown, State: "not in the current generation", Asked: n.asked(f)}
	if f.gen == nil {
		a.State = "not there: the node has no generation yet"
	}
	var names []string
	if f.gen != nil {
		for _, unit := range f.gen.Plan.Units {
			names = append(names, short(unit.Name))
		}
		for _, image := range f.gen.Plan.Images {
			names = append(names, image.Name)
		}
	}
	a.Nearest = nearest(subject, names)
	for _, other := range n.others(f) {
		if match(other.Plan.Units, subject) == nil {
			if _, ok := imageOf(other.Plan, strings.TrimPrefix(subject, "image:")); !ok {
				continue
			}
		}
		what := fmt.Sprintf("generation %d on disk has it", other.Number)
		if entry := f.entry(other.Number); entry != nil {
			what = fmt.Sprintf("generation %d has it, which is %s", other.Number, entry.Step)
			if entry.Reason != "" {
				what += ": " + entry.Reason
			}
		}
		a.cause("other-generation", what, fmt.Sprintf("compare it: slipway-agent diff %d", other.Number))
	}
	n.nodeCauses(ctx, f, a)
	if len(a.Causes) == 0 {
		a.cause("unknown", fmt.Sprintf("no unit and no image of this node's plan is called %s", subject), "list them: slipway-agent status")
	}
	return a
}

// others are the generations on disk beside the current one, the newest first.
func (n *Node) others(f *facts) []*generation.Generation {
	numbers, err := n.store().Numbers()
	if err != nil {
		return nil
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	var out []*generation.Generation
	for _, number := range numbers {
		if number == f.number {
			continue
		}
		if g, err := n.store().Load(number); err == nil {
			out = append(out, g)
		}
	}
	return out
}

// redact takes secrets out of everything that was quoted from elsewhere.
func (n *Node) redact(a *Answer) {
	literals := n.Secrets()
	for i := range a.Causes {
		a.Causes[i].What = redact.Text(a.Causes[i].What, literals...)
	}
	for i := range a.Waits {
		a.Waits[i].Last = redact.Text(a.Waits[i].Last, literals...)
	}
	if a.Unit != nil {
		a.Unit.Text = redact.Text(a.Unit.Text, literals...)
	}
	redactLines(a.Log, literals)
}

func redactLines(lines []unitlog.Line, literals []string) {
	for i := range lines {
		lines[i].Message = redact.Text(lines[i].Message, literals...)
	}
}

// Secrets returns the literals that must not be shown: the join token.
func (n *Node) Secrets() []string {
	config, err := join.ReadConfig(n.ConfigFile)
	if err != nil {
		return nil
	}
	return []string{config.Token}
}
