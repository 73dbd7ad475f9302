package etcd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// Member is one member of the cluster.
type Member struct {
	ID         uint64   `json:"ID,string"`
	Name       string   `json:"name"` // empty until it has started once
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	Learner    bool     `json:"isLearner"`
}

func (m Member) String() string {
	name := m.Name
	if name == "" {
		name = strings.Join(m.PeerURLs, ",") + ", not started"
	}
	return fmt.Sprintf("%s (%s)", id(m.ID), name)
}

// id shows a member's id as etcd's own tools do.
func id(n uint64) string { return strconv.FormatUint(n, 16) }

func outputs(m Member) map[string]string {
	return map[string]string{"id": id(m.ID), "learner": strconv.FormatBool(m.Learner)}
}

// members are those of the cluster, and the one that answered.
type members struct {
	all     []Member
	self    uint64
	cluster uint64
}

// Members lists the members, as a quorum knows them.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	list, err := c.members(ctx)
	return list.all, err
}

func (c *Client) members(ctx context.Context) (members, error) {
	var answer struct {
		Header  header   `json:"header"`
		Members []Member `json:"members"`
	}
	if err := c.call(ctx, c.endpoint, "/v3/cluster/member/list", map[string]bool{"linearizable": true}, &answer); err != nil {
		return members{}, fmt.Errorf("list the members: %w", err)
	}
	return members{all: answer.Members, self: answer.Header.Member, cluster: answer.Header.Cluster}, nil
}

// find returns the member that is meant, if it is there. More than one is an error: with names
// that two members share, nobody knows which.
func (l members) find(want plan.Member) (*Member, error) {
	var found *Member
	for i, m := range l.all {
		if want.ID != "" && want.ID != id(m.ID) || want.Name != "" && want.Name != m.Name ||
			len(want.PeerURLs) > 0 && !sameURLs(want.PeerURLs, m.PeerURLs) {
			continue
		}
		if found != nil {
			return nil, fault.Terminalf("both %s and %s are meant: name one of them by its id", found, m)
		}
		found = &l.all[i]
	}
	return found, nil
}

func sameURLs(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(u string) bool { return !slices.Contains(b, u) })
}

// Add adds a member as a learner. A member with these peer URLs that is there already is what an
// earlier run has added, or has been promoted since: both are fine.
func (c *Client) Add(ctx context.Context, want plan.Member) (map[string]string, error) {
	var found *Member
	err := retry(ctx, func(ctx context.Context) error {
		list, err := c.members(ctx)
		if err != nil {
			return err
		}
		// Its name is its own to say, once it starts.
		if found, err = list.find(plan.Member{PeerURLs: want.PeerURLs}); err != nil || found != nil {
			return err
		}
		if err := overlap(list.all, want.PeerURLs); err != nil {
			return err
		}
		var answer struct {
			Member Member `json:"member"`
		}
		in := map[string]any{"peerURLs": want.PeerURLs, "isLearner": true}
		if err := c.call(ctx, c.endpoint, "/v3/cluster/member/add", in, &answer); err != nil {
			return err
		}
		found = &answer.Member
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add member %s as a learner: %w", strings.Join(want.PeerURLs, ","), err)
	}
	return outputs(*found), nil
}

// overlap refuses peer URLs of which a member has some and not all.
func overlap(all []Member, urls []string) error {
	for _, m := range all {
		for _, u := range urls {
			if slices.Contains(m.PeerURLs, u) {
				return fault.Terminalf("member %s has the peer URL %s, but its peer URLs are %s", m, u, strings.Join(m.PeerURLs, ","))
			}
		}
	}
	return nil
}

// Promote makes a voter of a learner, as soon as the learner has caught up. A voter is left as
// it is.
func (c *Client) Promote(ctx context.Context, want plan.Member) (map[string]string, error) {
	var found *Member
	err := retry(ctx, func(ctx context.Context) error {
		list, err := c.members(ctx)
		if err != nil {
			return err
		}
		if found, err = list.find(want); err != nil {
			return err
		}
		if found == nil {
			// It may be about to tell its name.
			return fault.Retriablef("there is no such member among %v", list.all)
		}
		if !found.Learner {
			return nil
		}
		if err := c.guard(ctx, list, append(list.voters(), *found), fmt.Sprintf("promoting %s", found)); err != nil {
			return err
		}
		if err := c.call(ctx, c.endpoint, "/v3/cluster/member/promote", map[string]string{"ID": decimal(found.ID)}, &struct{}{}); err != nil {
			return err
		}
		found.Learner = false
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("promote member %s: %w", describe(want), err)
	}
	return outputs(*found), nil
}

// Remove removes a member, if the voters that remain are a healthy quorum. One that is not there
// has been removed already. The member that is asked is not the one that goes: it could not
// tell how it went.
func (c *Client) Remove(ctx context.Context, want plan.Member) (map[string]string, error) {
	out := map[string]string{}
	err := retry(ctx, func(ctx context.Context) error {
		list, err := c.members(ctx)
		if err != nil {
			return err
		}
		found, err := list.find(want)
		if err != nil || found == nil {
			return err
		}
		out["id"] = id(found.ID)
		if found.ID == list.self {
			return fault.Terminalf("%s is the member behind %s, which cannot remove itself: give the task to another master", found, c.endpoint)
		}
		if !found.Learner {
			rest := slices.DeleteFunc(list.voters(), func(m Member) bool { return m.ID == found.ID })
			if err := c.guard(ctx, list, rest, fmt.Sprintf("removing %s", found)); err != nil {
				return err
			}
			c.moveLeader(ctx, *found, list)
		}
		return c.call(ctx, c.endpoint, "/v3/cluster/member/remove", map[string]string{"ID": decimal(found.ID)}, &struct{}{})
	})
	if err != nil {
		return nil, fmt.Errorf("remove member %s: %w", describe(want), err)
	}
	return out, nil
}

func (l members) voters() []Member {
	return slices.DeleteFunc(slices.Clone(l.all), func(m Member) bool { return m.Learner })
}

// decimal is the form of an id in JSON.
func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func describe(m plan.Member) string {
	var parts []string
	for _, part := range append([]string{m.ID, m.Name}, m.PeerURLs...) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}
