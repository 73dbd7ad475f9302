package run

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/probe"
	"slipway.build/slipway/agent/supervision"
)

const (
	firstPoll = 20 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
	// extendEvery and extendBy keep systemd's start timeout open while the component starts; the
	// plan's deadline is what ends a start that never gets ready.
	extendEvery = 5 * time.Second
	extendBy    = 30 * time.Second
	// tellEvery is the least time between two tellings of what a probe last said.
	tellEvery = time.Second
)

// watch waits for readiness, tells systemd, and then feeds the watchdog until ctx ends.
func (s *supervisor) watch(ctx context.Context) {
	if !s.awaitReady(ctx) {
		return
	}
	s.notify.send("READY=1", "STATUS=Ready")
	footprint.Rest()
	s.feed(ctx)
}

// stopped is run's error when a signal ended the wait for what the component needs.
type stopped struct{ os.Signal }

func (s *stopped) Error() string { return "ended by " + s.String() }

// await waits for what the component needs before it can begin. It returns the signal that
// ended the wait, or nil.
func (s *supervisor) await(signals <-chan os.Signal) os.Signal {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan bool, 1)
	go func() { ready <- s.poll(ctx, s.spec.Await, "Waiting") }()
	for {
		select {
		case <-ready:
			return nil
		case sig := <-signals:
			if sig == syscall.SIGTERM || sig == syscall.SIGINT {
				cancel()
				<-ready
				return sig
			}
		}
	}
}

// awaitReady polls the readiness probe.
func (s *supervisor) awaitReady(ctx context.Context) bool {
	return s.poll(ctx, s.spec.Ready, "Starting")
}

// poll asks the probe until it is content, often at first, then less so, and keeps systemd
// patient meanwhile. It is false when ctx ended first.
func (s *supervisor) poll(ctx context.Context, what *supervision.Probe, doing string) bool {
	if what == nil {
		return true
	}
	prober, err := probe.New(*what)
	if err != nil {
		s.notify.send("STATUS=" + err.Error())
		return false
	}
	defer prober.Close()
	began, wait := time.Now(), firstPoll
	var extended, told time.Time
	last := ""
	for {
		err := prober.Ask(ctx)
		if err == nil {
			return true
		}
		due := time.Since(extended) > extendEvery
		if due || (err.Error() != last && time.Since(told) > tellEvery) {
			last, told = err.Error(), time.Now()
			lines := []string{fmt.Sprintf("STATUS=%s since %s: %s: %s", doing, began.UTC().Format(time.TimeOnly), what.URL, oneLine(last))}
			if due {
				extended = told
				lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extendBy.Microseconds()))
			}
			s.notify.send(lines...)
		}
		if !pause(ctx, wait) {
			return false
		}
		wait = min(wait*5/4, lastPoll)
	}
}

// feed sends WATCHDOG=1 while the component lives by its own probe. It asks at the probe's
// interval, but at least three times in a watchdog period. When the probe failed often enough in
// a row, systemd is told at once instead of being left to find out.
func (s *supervisor) feed(ctx context.Context) {
	period := watchdog()
	if period == 0 {
		return
	}
	live := supervision.Probe{}
	var prober *probe.Prober
	if s.spec.Live != nil {
		live = *s.spec.Live
		var err error
		if prober, err = probe.New(live); err != nil {
			s.notify.send("STATUS=" + err.Error())
			return
		}
		defer prober.Close()
	}
	interval := min(live.Interval.Or(probe.DefaultInterval), period/3)
	limit := live.Failures
	if limit == 0 {
		limit = probe.DefaultFailures
	}
	for failures := 0; ; {
		if prober == nil {
			s.notify.send("WATCHDOG=1")
		} else if err := prober.Ask(ctx); err == nil {
			if failures > 0 {
				s.notify.send("STATUS=Ready")
			}
			failures = 0
			s.notify.send("WATCHDOG=1")
		} else if failures++; failures >= limit {
			_, _ = fmt.Fprintf(s.stderr, "<3>%s: its own check failed %d times in a row (%v); systemd restarts it\n", s.spec.Unit, failures, err)
			s.notify.send("STATUS=Hung: "+oneLine(err.Error()), "WATCHDOG=trigger")
			return
		} else {
			// Alive until proven otherwise: this process still watches.
			s.notify.send("STATUS=Check failed: "+oneLine(err.Error()), "WATCHDOG=1")
		}
		footprint.Drop() // until the next question little of the program is needed
		if !pause(ctx, interval) {
			return
		}
	}
}

func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// oneLine keeps a probe's error from ending the assignment that carries it.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
