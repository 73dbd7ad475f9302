package heat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/heat/cache"
	"slipway.build/slipway/agent/heat/collect"
	"slipway.build/slipway/agent/heat/metadata"
)

// heatLocal is the collector of the first settings; it is asked whether or not it is listed.
const heatLocal = "heat_local"

// transports are the collectors by which Heat speaks to the server; one of them is in use.
var transports = [...]string{"cfn", "heat", "request", "zaqar"}

// gatherer collects, and says when there is something new.
type gatherer struct {
	config     Config
	cache      cache.Cache
	collectors map[string]collect.Collector
	board      *board
	log        *slog.Logger
	wake       chan struct{} // begins the intervals anew

	round    sync.Mutex // one round at a time; guards the next five
	found    map[string][]metadata.Document
	settings metadata.Settings
	news     bool              // found differs from what was published, or may
	heard    bool              // a transport has answered, now or in an earlier life
	said     map[string]string // the collectors' last faults, so that each is logged once

	mu      sync.Mutex
	view    view
	changed chan struct{} // closed with the next view
}

func newGatherer(c Config, all map[string]collect.Collector, b *board, log *slog.Logger) *gatherer {
	g := &gatherer{
		config: c, cache: c.Cache, collectors: all, board: b, log: log, wake: make(chan struct{}, 1),
		found: map[string][]metadata.Document{}, news: true, said: map[string]string{}, changed: make(chan struct{}),
	}
	g.restore()
	return g
}

// restore begins with the first metadata and with what was collected in an earlier life: a change
// of the transport must not be forgotten, though user data has the first one for ever.
func (g *gatherer) restore() {
	if local, ok := g.collectors[heatLocal]; ok {
		found, err := local.Collect(context.Background(), metadata.Settings{})
		g.take(heatLocal, result{found, err})
	}
	for _, name := range g.cache.Names() {
		if _, ok := g.collectors[name]; !ok || name == heatLocal {
			continue
		}
		if doc, ok := g.cache.Load(name); ok {
			g.found[name] = []metadata.Document{doc}
			g.heard = g.heard || slices.Contains(transports[:], name)
		}
	}
	g.settings = g.read(g.cache.Names())
}

// read reads the settings out of the first metadata and what these collectors have found.
func (g *gatherer) read(names []string) metadata.Settings {
	var docs []metadata.Document
	if !slices.Contains(names, heatLocal) {
		names = append([]string{heatLocal}, names...)
	}
	for _, name := range names {
		docs = append(docs, g.found[name]...)
	}
	merged, err := metadata.Merge(docs)
	if err != nil {
		g.log.Error("the metadata cannot be merged", "error", err)
		return g.settings
	}
	return metadata.ReadSettings(merged)
}

// run collects until ctx ends: a second after a change, then at doubling intervals up to the
// polling interval, each shortened at random by up to half.
func (g *gatherer) run(ctx context.Context) error {
	if err := g.splay(ctx); err != nil {
		return err
	}
	var waits backoff.Backoff
	for {
		changed, _ := g.collect(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if changed {
			waits.Reset()
		}
		g.round.Lock()
		waits.First, waits.Max = g.config.MinPolling, max(g.settings.PollingInterval, g.config.MinPolling)
		g.round.Unlock()
		timer := time.NewTimer(waits.Next())
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-g.wake:
			timer.Stop()
			waits.Reset()
		case <-timer.C:
		}
	}
}

// splay waits once, at random, when the operator asks for it.
func (g *gatherer) splay(ctx context.Context) error {
	g.round.Lock() // the teller may be in a round already
	most := g.settings.Splay
	g.round.Unlock()
	if most <= 0 {
		return nil
	}
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// soon has it collect now, and at short intervals again.
func (g *gatherer) soon() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// collect makes a round, and further ones while the settings change with it. It reports whether
// anything changed, and whether Heat itself has answered.
func (g *gatherer) collect(ctx context.Context) (changed, answered bool) {
	g.round.Lock()
	defer g.round.Unlock()
	const most = 4
	for range most {
		before := g.settings
		news, ok := g.gather(ctx)
		changed, answered = changed || news, ok
		if reflect.DeepEqual(before, g.settings) {
			break
		}
		changed = true
		g.log.Info("the metadata says how to collect metadata", "collectors", g.settings.Collectors, "polling", g.settings.PollingInterval)
	}
	return changed, answered
}

// gather asks all collectors at the same time, keeps what they found, and publishes it.
func (g *gatherer) gather(ctx context.Context) (changed, answered bool) {
	names := g.settings.Collectors
	if !slices.Contains(names, heatLocal) {
		names = append([]string{heatLocal}, names...)
	}
	results := make([]result, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		collector, ok := g.collectors[name]
		if !ok {
			results[i].err = collect.ErrNotConfigured
			continue
		}
		asked.Go(func() { results[i].found, results[i].err = collector.Collect(ctx, g.settings) })
	}
	asked.Wait()
	if ctx.Err() != nil {
		return false, false
	}
	for i, name := range names {
		g.take(name, results[i])
		transport := slices.Contains(transports[:], name)
		answered = answered || transport && (results[i].err == nil || errors.Is(results[i].err, collect.ErrUnchanged))
	}
	changed, err := g.publish()
	if err != nil {
		g.log.Error("the metadata is not kept, so it is not acted on", "error", err)
		g.board.fault("keep", err)
		return changed, false
	}
	for _, r := range results {
		if r.found.Kept == nil {
			continue
		}
		g.config.reached("kept")
		if err := r.found.Kept(ctx); err != nil {
			g.log.Warn("news are kept and not taken off the queue yet", "error", err)
		}
	}
	return changed, answered
}

type result struct {
	found collect.Found
	err   error
}

// take remembers what a collector found. One that cannot be reached keeps what it found before.
func (g *gatherer) take(name string, r result) {
	said := ""
	var fault error
	switch {
	case r.err == nil:
		if !slices.EqualFunc(g.found[name], r.found.Docs, equal) {
			g.found[name] = r.found.Docs
			g.news = true
		}
	case errors.Is(r.err, collect.ErrNotConfigured):
		g.news = g.news || g.found[name] != nil
		delete(g.found, name)
	case errors.Is(r.err, collect.ErrUnchanged):
	default:
		said, fault = r.err.Error(), r.err
	}
	if said == g.said[name] {
		return
	}
	g.said[name] = said
	g.board.fault(name, fault)
	if said != "" {
		g.log.Warn("a source of metadata is not available, trying again", "collector", name, "error", said)
	} else {
		g.log.Info("the source of metadata is available again", "collector", name)
	}
}
