package debug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/trust"
)

// side is a generation with what the lock says about its images.
type side struct {
	Side
	gen     *generation.Generation
	checked *trust.Checked
}

// Diff compares the current generation with another: the one with that number, the delivery
// in that file, or, for "", the newest other one: that of a plan that failed since, or the one before.
func (n *Node) Diff(ctx context.Context, other string) (*Diff, error) {
	f := n.look(ctx)
	if f.genErr != nil {
		return nil, f.genErr
	}
	if f.gen == nil {
		return nil, ErrNone
	}
	current := n.side(ctx, f, f.gen)
	var against *side
	var err error
	if number, parse := strconv.ParseUint(other, 10, 64); parse == nil || other == "" {
		against, err = n.sideOf(ctx, f, number)
	} else {
		against, err = n.sideFile(ctx, other)
	}
	if err != nil {
		return nil, err
	}
	from, to := current, against
	if against.File == "" && against.Generation < current.Generation {
		from, to = against, current
	}
	return compare(from, to), nil
}

func (n *Node) side(ctx context.Context, f *facts, g *generation.Generation) *side {
	s := &side{Side: Side{Generation: g.Number}, gen: g}
	if entry := f.entry(g.Number); entry != nil {
		s.Step, s.Reason = string(entry.Step), entry.Reason
	}
	var err error
	if s.checked, err = n.checked(ctx, g.Number); err != nil {
		s.checked, s.Unproven = nil, err.Error()
	}
	return s
}

// sideOf finds another generation that is on disk, or failed; number 0 chooses the newest.
func (n *Node) sideOf(ctx context.Context, f *facts, number uint64) (*side, error) {
	var known []string
	failed := n.failed(ctx, f)
	if failed != nil {
		if number == failed.Generation || number == 0 {
			return failed, nil
		}
		known = append(known, strconv.FormatUint(failed.Generation, 10))
	}
	for _, g := range n.others(f) { // the newest first
		if number == g.Number || number == 0 {
			return n.side(ctx, f, g), nil
		}
		known = append(known, strconv.FormatUint(g.Number, 10))
	}
	if number == 0 {
		return nil, errors.New("there is no other generation on this node to compare with")
	}
	if number == f.number {
		return nil, fmt.Errorf("generation %d is the current one", number)
	}
	return nil, fmt.Errorf("generation %d is not on this node; there are, beside the current %d: %s", number, f.number, strings.Join(known, ", "))
}

// failed returns the plan that failed last, nil when none did since the current generation, a newer
// one is being applied, or what is kept of it does not hold.
func (n *Node) failed(ctx context.Context, f *facts) *side {
	number, delivery, err := n.store().Failed()
	if err != nil || number < f.number || slices.ContainsFunc(n.others(f), func(g *generation.Generation) bool { return g.Number >= number }) {
		return nil
	}
	entry := f.entry(number)
	if entry == nil || entry.Step != journal.Abandoned && entry.Step != journal.Returning {
		return nil
	}
	verifier, err := n.verifier()
	if err != nil {
		return nil
	}
	checked, err := verifier.Check(ctx, delivery)
	if err != nil {
		return nil
	}
	return &side{Side: Side{Generation: number, Step: string(entry.Step), Reason: entry.Reason}, gen: n.store().Of(checked), checked: checked}
}

// sideFile reads a delivery, which must hold on this node.
func (n *Node) sideFile(ctx context.Context, path string) (*side, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &side{Side: Side{File: path}}
	var delivery protocol.Delivery
	if err := json.Unmarshal(raw, &delivery); err != nil || len(delivery.Envelope) == 0 {
		return nil, fmt.Errorf("%s is no delivery (JSON with an envelope and a lock)", path)
	}
	verifier, err := n.verifier()
	if err != nil {
		return nil, err
	}
	if s.checked, err = verifier.Check(ctx, delivery); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.gen = n.store().Of(s.checked)
	s.Generation = s.gen.Number
	return s, nil
}
