package heat

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/backoff"
)

// Keep runs Heat mode beside the agent's other work until ctx ends. What ends it otherwise, such
// as another agent in Heat mode, is logged and tried again: it must not end the other work.
func Keep(ctx context.Context, c Config, log *slog.Logger) {
	waits := backoff.Backoff{First: time.Second, Max: time.Minute}
	for ctx.Err() == nil {
		err := Run(ctx, c, log)
		if ctx.Err() != nil {
			return
		}
		log.Error("Heat mode cannot go on, trying again", "error", err)
		if waits.Wait(ctx) != nil {
			return
		}
	}
}

// Below returns the configuration with all paths below a directory, for machines that stand in
// for a node.
func (c Config) Below(root string) Config {
	for _, path := range []*string{
		&c.StateDir, &c.StatusFile, &c.InitData, &c.LocalData, &c.Hint, &c.Cache.Dir, &c.Cache.Copy, &c.Cache.HeatConfig,
		&c.Deployed.Dir, &c.Deployed.Old, &c.Hooks.WorkDir, &c.Hooks.OutputsDir, &c.Hooks.LogDir,
	} {
		if *path != "" {
			*path = filepath.Join(root, *path)
		}
	}
	dirs := make([]string, len(c.Hooks.HookDirs))
	for i, dir := range c.Hooks.HookDirs {
		dirs[i] = filepath.Join(root, dir)
	}
	c.Hooks.HookDirs = dirs
	return c
}
