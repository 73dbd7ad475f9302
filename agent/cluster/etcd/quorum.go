package etcd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/fault"
)

// probeTimeout bounds the question to one other member.
const probeTimeout = 3 * time.Second

// guard refuses a change after which the voters would have no quorum of healthy ones. etcd has a
// check of its own, which goes by connections: it calls a member healthy that accepts them and
// does nothing else. The refusal is retriable, because a member that restarts comes back.
func (c *Client) guard(ctx context.Context, list members, voters []Member, what string) error {
	if len(voters) == 0 {
		return fault.Terminalf("%s would leave no voter", what)
	}
	sick := c.sick(ctx, list, voters)
	need, healthy := len(voters)/2+1, len(voters)-len(sick)
	if healthy >= need {
		return nil
	}
	return fault.Retriablef("%s would lose quorum: of then %d voters %d would have to be healthy, and %d are; %s",
		what, len(voters), need, healthy, strings.Join(sick, "; "))
}

// sick asks every one of the members how it is, and says of each that is not well why.
func (c *Client) sick(ctx context.Context, list members, ask []Member) []string {
	reasons := make([]string, len(ask))
	var all sync.WaitGroup
	for i, m := range ask {
		all.Go(func() {
			if err := c.well(ctx, list, m); err != nil {
				reasons[i] = fmt.Sprintf("member %s: %v", m, err)
			}
		})
	}
	all.Wait()
	var out []string
	for _, reason := range reasons {
		if reason != "" {
			out = append(out, reason)
		}
	}
	return out
}

func (c *Client) well(ctx context.Context, list members, m Member) error {
	endpoints := m.ClientURLs
	if m.ID == list.self {
		endpoints = []string{c.endpoint}
	}
	err := fmt.Errorf("it has not started")
	for _, endpoint := range endpoints {
		var s answerOfStatus
		if err = c.callWithin(ctx, probeTimeout, endpoint, statusPath, struct{}{}, &s); err != nil {
			continue
		}
		switch {
		case s.Header.Cluster != list.cluster || s.Header.Member != m.ID:
			err = fmt.Errorf("at %s another member answers (%s)", endpoint, id(s.Header.Member))
		case s.Leader == 0:
			err = fmt.Errorf("it knows no leader")
		default:
			return nil
		}
	}
	return err
}

// moveLeader hands leadership to another healthy voter before the leader goes, which saves
// writers the time of an election. When that fails, there is an election.
func (c *Client) moveLeader(ctx context.Context, leaving Member, list members) {
	var s answerOfStatus
	if c.call(ctx, c.endpoint, statusPath, struct{}{}, &s) != nil || s.Leader != leaving.ID {
		return
	}
	for _, m := range list.voters() {
		if m.ID == leaving.ID || c.well(ctx, list, m) != nil {
			continue
		}
		for _, endpoint := range leaving.ClientURLs {
			in := map[string]string{"targetID": decimal(m.ID)}
			if c.call(ctx, endpoint, "/v3/maintenance/transfer-leadership", in, &struct{}{}) == nil {
				return
			}
		}
	}
}
