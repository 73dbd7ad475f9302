package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify speaks to systemd for the agent's own unit: alive says that the agent is up (it may wait
// for a configuration for long, and nothing must wait for that) and feeds the watchdog until
// stop is called.
func notify(ctx context.Context) (alive, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	alive = func() {
		// Without systemd there is nobody to tell; that is no error.
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
		go func() {
			defer close(done)
			feed(ctx)
		}()
	}
	return alive, func() {
		cancel()
		<-done
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
