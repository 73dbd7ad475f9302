package heat_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/heat/testcloud"
)

func TestHeatModeBesideOtherWorkWaitsForItsTurn(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.start()
	r.polled(testcloud.Metadata, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var log lockedBuffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		heat.Keep(ctx, r.config, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	r.await("the refusal", func(*status) bool { return strings.Contains(log.String(), "another slipway-agent") })
	r.stop()
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	if result := r.cloud.AwaitResult("d"); result.Status != testcloud.Complete {
		t.Errorf("%+v", result)
	}
	cancel()
	<-ended
}

func TestAllPathsCanBeBelowADirectory(t *testing.T) {
	config := heat.Defaults().Below("/node")
	for _, path := range append([]string{
		config.StateDir, config.StatusFile, config.InitData, config.LocalData, config.Hint, config.Cache.Dir, config.Cache.Copy,
		config.Cache.HeatConfig, config.Deployed.Dir, config.Deployed.Old, config.Hooks.WorkDir, config.Hooks.OutputsDir, config.Hooks.LogDir,
	}, config.Hooks.HookDirs...) {
		if !strings.HasPrefix(path, "/node/") {
			t.Errorf("%s is not below it", path)
		}
	}
}
