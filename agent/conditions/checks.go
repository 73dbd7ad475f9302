package conditions

import (
	"context"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// Checks watches what the plan lists under its checks.
type Checks struct {
	// List returns the plan's checks.
	List func() ([]plan.Check, error)
	Now  func() time.Time

	made map[plan.Check]checker
}

// checker is one kind of check.
type checker interface {
	look(context.Context) []protocol.Condition
}

// Every implements Source.
func (c *Checks) Every() time.Duration { return time.Minute }

// Look implements Source.
func (c *Checks) Look(ctx context.Context) (out []protocol.Condition) {
	list, err := c.List()
	if err != nil {
		return nil // the units' condition says that there is no reading the plan
	}
	made := map[plan.Check]checker{}
	for _, check := range list {
		one := c.made[check]
		if one == nil {
			one = c.checker(check)
		}
		made[check] = one
		out = append(out, one.look(ctx)...)
	}
	c.made = made
	return out
}

func (c *Checks) checker(check plan.Check) checker {
	switch check.Type {
	case plan.CheckEtcd:
		return &etcd{check: check, now: c.Now}
	default:
		return unknownCheck(check.Type)
	}
}

// unknownCheck stands for a type that this agent does not know; validation refuses such a plan,
// so it is here for a plan that an other version of the agent has accepted.
type unknownCheck string

func (u unknownCheck) look(context.Context) []protocol.Condition {
	return []protocol.Condition{finding("UnknownCheck", Unknown, "UnknownType", "this agent knows no check of type %q", string(u))}
}
