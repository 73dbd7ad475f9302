package heat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/status"
)

// FilePlans hands plans of the group slipway to the agent that follows a plan in a file
// (`slipway-agent run --plan FILE`), and learns from that agent's status how they end. Whether a
// plan is believed is decided there, as for plans of every other source.
type FilePlans struct {
	Path   string // FILE
	Status string // status.Path
	// TakeUp is how long the other agent has to take a plan up; 1 minute when zero.
	TakeUp time.Duration
}

// lookAgain is between two looks at the other agent's status, which lies in memory.
const lookAgain = 200 * time.Millisecond

// ApplyPlan implements hooks.PlanApplier.
func (f FilePlans) ApplyPlan(ctx context.Context, delivery protocol.Delivery) error {
	digest, err := digestOf(delivery)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(delivery)
	if err != nil {
		return fmt.Errorf("hand over the plan: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return fmt.Errorf("hand over the plan: %w", err)
	}
	if err := durable.WriteFile(f.Path, raw, 0o600); err != nil {
		return err
	}
	return f.await(ctx, digest)
}

// await waits until the other agent is done with a plan.
func (f FilePlans) await(ctx context.Context, digest string) error {
	takeUp := f.TakeUp
	if takeUp == 0 {
		takeUp = time.Minute
	}
	began, ticker := time.Now(), time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		now, err := status.Read(f.Status)
		switch {
		case err == nil && now.PlanDigest == digest && now.Doing == status.Done:
			return nil
		case err == nil && now.PlanDigest == digest && now.Doing == status.Failed:
			return fmt.Errorf("the plan failed: %s", now.Reason)
		case (err != nil || now.PlanDigest != digest) && time.Since(began) > takeUp:
			return fmt.Errorf("no agent took the plan up within %s: is `slipway-agent run --plan %s` running?%s", takeUp, f.Path, refusal(now, err))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// refusal says what the other agent's status says of the plan that it did not take up.
func refusal(now *status.Status, err error) string {
	if err != nil {
		return " " + err.Error()
	}
	if now.Phase == protocol.Failed && now.Reason != "" {
		return " Its status says: " + now.Reason
	}
	return ""
}

// digestOf is the digest of the plan in a delivery. Nothing is verified here.
func digestOf(delivery protocol.Delivery) (string, error) {
	var envelope struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(delivery.Envelope, &envelope); err != nil {
		return "", fmt.Errorf("the delivery has no DSSE envelope: %w", err)
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil || len(payload) == 0 {
		return "", errors.New("the delivery's envelope has no payload")
	}
	return plan.DigestOf(payload), nil
}
