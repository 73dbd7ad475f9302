package main

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd that the agent's own unit is up (it may wait for a configuration for long, and
// nothing must wait for that), and feeds the watchdog until stop is called.
func notify(ctx context.Context) (stop func()) {
	// Without systemd there is nobody to tell; that is no error.
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	ctx, cancel := context.WithCancel(ctx)
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(ctx) })
	return func() {
		cancel()
		feeding.Wait()
	}
}

func feed(ctx context.Context) {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil || period == 0 {
		return
	}
	const perPeriod = 3
	ticker := time.NewTicker(period / perPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		case <-ctx.Done():
			return
		}
	}
}
