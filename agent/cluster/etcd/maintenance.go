package etcd

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"slipway.build/slipway/agent/fault"
)

// defragLimit bounds one defragmentation: the largest store (8 GiB) is written once.
const defragLimit = 10 * time.Minute

// Defragment gives the free pages of this node's member back. The member serves nothing while it
// does, so it is not done when less than a tenth of the store would be won.
func (c *Client) Defragment(ctx context.Context) (map[string]string, error) {
	var before, after answerOfStatus
	err := retry(ctx, func(ctx context.Context) error {
		return c.call(ctx, c.endpoint, statusPath, struct{}{}, &before)
	})
	if err == nil && before.InUse < before.Size-before.Size/10 {
		err = retry(ctx, func(ctx context.Context) error {
			return c.callWithin(ctx, defragLimit, c.endpoint, "/v3/maintenance/defragment", struct{}{}, &struct{}{})
		})
	}
	if err == nil {
		err = retry(ctx, func(ctx context.Context) error {
			return c.call(ctx, c.endpoint, statusPath, struct{}{}, &after)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("defragment the store: %w", err)
	}
	return map[string]string{"before": strconv.FormatInt(before.Size, 10), "after": strconv.FormatInt(after.Size, 10)}, nil
}

// Disarm takes back the NOSPACE alarms, after which etcd accepts writes again; it raises them
// anew when the space is not there. A CORRUPT alarm is never taken back: that member has to go.
func (c *Client) Disarm(ctx context.Context) (map[string]string, error) {
	count := 0
	err := retry(ctx, func(ctx context.Context) error {
		var raised struct {
			Alarms []struct {
				Member uint64 `json:"memberID,string"`
				Kind   string `json:"alarm"`
			} `json:"alarms"`
		}
		const path = "/v3/maintenance/alarm"
		if err := c.call(ctx, c.endpoint, path, map[string]string{"action": "GET"}, &raised); err != nil {
			return err
		}
		for _, a := range raised.Alarms {
			if a.Kind != "NOSPACE" {
				return fault.Terminalf("member %s has the alarm %s: replace the member", id(a.Member), a.Kind)
			}
		}
		for _, a := range raised.Alarms {
			in := map[string]string{"action": "DEACTIVATE", "memberID": decimal(a.Member), "alarm": a.Kind}
			if err := c.call(ctx, c.endpoint, path, in, &struct{}{}); err != nil {
				return err
			}
			count++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take back alarms: %w", err)
	}
	return map[string]string{"disarmed": strconv.Itoa(count)}, nil
}
