package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/protocol"
)

// PlanApplier applies a signed plan as if the control plane had delivered it, and returns when the
// node is healthy under it, or why it is not.
type PlanApplier interface {
	ApplyPlan(ctx context.Context, delivery protocol.Delivery) error
}

// plan runs the group slipway: the configuration is {"delivery": a signed plan with its lock}.
// Whether the plan is believed is decided where every plan's is.
func (r *Runner) plan(ctx context.Context, d metadata.Deployment, limit time.Duration) (notify.Result, error) {
	if r.Plans == nil {
		return notify.Failure(StatusNoHook, `group "slipway": this agent does not take plans from Heat (start it with --plans)`), nil
	}
	var config struct {
		Delivery *protocol.Delivery `json:"delivery"`
	}
	if err := json.Unmarshal(d.Config, &config); err != nil || config.Delivery == nil {
		return notify.Failure(StatusRefused, `group "slipway": its configuration is not {"delivery": {"envelope": …}}`), nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	err := r.Plans.ApplyPlan(limited, *config.Delivery)
	switch {
	case ctx.Err() != nil:
		return notify.Result{}, context.Cause(ctx)
	case err != nil && errors.Is(context.Cause(limited), errTooLong):
		return notify.Failure(StatusTimeout, "the plan was not healthy within its time limit of "+limit.String()), nil
	case err != nil:
		return notify.Failure(1, err.Error()), nil
	}
	return notify.Result{Stdout: "the node is healthy under the plan\n"}, nil
}
