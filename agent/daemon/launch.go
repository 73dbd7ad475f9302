package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/self"
	"slipway.build/slipway/agent/trust"
)

// Launch becomes the program that the current generation names for the agent's place, when there
// is one that is good. It returns when this process is the one to do the work.
func Launch(c Config, args, env []string, log *slog.Logger) {
	launcher := &self.Launcher{Root: c.Root, Check: c.checkProgram, Arm: self.Arm, Exec: self.Exec, Log: log}
	launcher.Launch(args, env)
}

// checkProgram verifies the current generation's delivery once more, and that its lock gives the
// program that digest.
func (c Config) checkProgram(p *self.Program) error {
	identity, err := join.Load(filepath.Join(c.state(), "identity"))
	if err != nil {
		return err
	}
	store := &generation.Store{Root: c.Root, Images: &pull.Store{Dir: filepath.Join(c.Root, "images")}}
	delivery, err := store.Delivery(p.Generation)
	if err != nil {
		return err
	}
	verifier := &trust.Verifier{Node: identity.Node(), PlanKeys: identity.EveryPlanKey, TrustDir: c.TrustDir, Baked: c.BakedLock, LockKeys: c.lockKeys()}
	checked, err := verifier.Check(context.Background(), delivery)
	if err != nil {
		return err
	}
	agent := checked.Plan.Agent
	if agent == nil || agent.Image != p.Image || checked.Plan.Generation != p.Generation {
		return fmt.Errorf("the signed plan %d does not name image %s for the agent's place", checked.Plan.Generation, p.Image)
	}
	if file, ok := checked.Platforms[agent.Image].File(agent.Binary); !ok || file.SHA256 != p.SHA256 {
		return fmt.Errorf("the signed lock gives %s of image %s the sha256 %s, not %s", agent.Binary, agent.Image, file.SHA256, p.SHA256)
	}
	return nil
}
