package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// Prune deletes what a set has and keep does not list. An object is deleted only when the
// inventory has it as made by us, it still carries the set's label, and it is the very object
// that was made (by its UID): whatever else has its name by now is somebody else's. Name spaces
// and definitions in which others keep something stay, and the output names them.
func (c *Client) Prune(ctx context.Context, set string, keep []plan.Object) (map[string]string, error) {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 2 * time.Second}
	var p pruning
	err := waits.Retry(ctx, func(ctx context.Context) error {
		v, err := c.inventory(ctx, set)
		if err != nil {
			return err
		}
		p = pruning{Client: c, set: v, deleted: p.deleted}
		if err := p.pass(ctx, keep); err != nil {
			return err
		}
		if len(p.pending) > 0 {
			return fault.Retriablef("not deleted yet: %s", strings.Join(shorten(p.pending), "; "))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prune set %s: %w", set, err)
	}
	out := map[string]string{"deleted": strconv.Itoa(len(p.deleted))}
	if len(p.kept) > 0 {
		out["kept"] = strings.Join(shorten(p.kept), "; ")
	}
	return out, nil
}

// shorten bounds a list in a message; the rest is counted.
func shorten(list []string) []string {
	const shown = 5
	if len(list) <= shown {
		return list
	}
	return append(slices.Clone(list[:shown]), fmt.Sprintf("and %d more", len(list)-shown))
}

// pruning is one look at everything that a set has too much.
type pruning struct {
	*Client
	set     *inventory
	deleted map[identity]bool // by this task, over all passes
	pending []string          // being deleted
	kept    []string          // for the sake of others
}

func (p *pruning) pass(ctx context.Context, keep []plan.Object) error {
	surplus := slices.DeleteFunc(slices.Clone(p.set.members), func(m member) bool {
		return slices.ContainsFunc(keep, func(o plan.Object) bool { return identify(o).same(m.identity()) })
	})
	// Against the order of applying: what lives in a name space goes before it.
	slices.SortStableFunc(surplus, func(a, b member) int { return b.identity().rank() - a.identity().rank() })
	var done []member
	for _, m := range surplus {
		if len(p.pending) > 0 && m.identity().rank() < 2 {
			break // what is in it first
		}
		over, err := p.drop(ctx, m)
		if err != nil {
			return err
		}
		if over {
			done = append(done, m)
		}
	}
	if len(done) == 0 {
		return nil
	}
	p.set.members = slices.DeleteFunc(p.set.members, func(m member) bool { return slices.Contains(done, m) })
	return p.put(ctx, p.set)
}

// drop does what is to be done about one object, and reports whether it is done with.
func (p *pruning) drop(ctx context.Context, m member) (bool, error) {
	id := m.identity()
	live, err := p.look(ctx, id)
	if err != nil {
		return false, err
	}
	switch {
	case live == nil:
		return true, nil
	case live.Labels[SetLabel] != p.set.set, m.UID != "" && m.UID != live.UID:
		return true, nil // somebody else's by now
	case m.Adopted:
		return true, p.release(ctx, id, live.UID)
	case live.DeletionTimestamp != "":
		text := id.String()
		if len(live.Finalizers) > 0 {
			text += " waits for its finalizers " + strings.Join(live.Finalizers, ", ")
		}
		p.pending = append(p.pending, text)
		return false, nil
	}
	strangers, err := p.inside(ctx, id)
	if err != nil {
		return false, err
	}
	if strangers != "" {
		p.kept = append(p.kept, id.String()+" has "+strangers)
		return false, nil
	}
	if err := p.delete(ctx, id, live.UID); err != nil {
		return false, err
	}
	if p.deleted == nil {
		p.deleted = map[identity]bool{}
	}
	p.deleted[id] = true
	p.pending = append(p.pending, id.String())
	return false, nil
}

// release takes our label off an object that was there before us, and leaves all else.
func (p *pruning) release(ctx context.Context, id identity, uid string) error {
	found, err := p.mapping(ctx, id.version, id.kind)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid, "labels": map[string]any{SetLabel: nil}}})
	if err != nil {
		return fault.Terminalf("let go of %s: %w", id, err)
	}
	path := id.path(found) + "?fieldManager=" + FieldManager
	if err := p.request(ctx, http.MethodPatch, path, mergePatch, body, nil); err != nil && !gone(err) {
		return fmt.Errorf("let go of %s: %w", id, err)
	}
	return nil
}

const mergePatch = "application/merge-patch+json"

// delete deletes exactly the object that was looked at.
func (c *Client) delete(ctx context.Context, id identity, uid string) error {
	found, err := c.mapping(ctx, id.version, id.kind)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"preconditions": map[string]string{"uid": uid}, "propagationPolicy": "Background"})
	if err != nil {
		return fault.Terminalf("delete %s: %w", id, err)
	}
	if err := c.request(ctx, http.MethodDelete, id.path(found), "application/json", body, nil); err != nil && !gone(err) {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	return nil
}
