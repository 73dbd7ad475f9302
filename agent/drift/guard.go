package drift

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/turn"
	"slipway.build/slipway/units/drive"
)

const (
	// gather is how long events are gathered before they are looked at: a file is rarely changed by
	// one system call.
	gather = 20 * time.Millisecond
	// Every is the time between two looks at everything without an event. It costs some hundred
	// calls of lstat(2).
	Every = time.Minute
	// proveEvery is the time between two hashes of files of images that are hashed for no reason but
	// that it is their turn, one at a time: each is hashed before each start as well.
	proveEvery = 10 * time.Minute
	// retry spaces the attempts at what could not be done.
	retry = 2 * time.Second
)

// Board takes the node's conditions.
type Board interface {
	Set(...protocol.Condition)
}

// Journal is what the agent remembers.
type Journal interface {
	Entries() ([]journal.Entry, error)
	Filled() (map[string]bool, error)
}

// Trust proves deliveries again.
type Trust interface {
	Recheck(delivery protocol.Delivery, digest string) (*trust.Checked, error)
}

// Guard guards the current generation. All fields but Looked and Now must be set before Run.
type Guard struct {
	Generations *generation.Store
	Journal     Journal
	Trust       Trust
	Systemd     drive.Driver
	// Pull brings images into the store.
	Pull func(ctx context.Context, wants []pull.Want, registries []string) error
	Turn *turn.Turn
	// PKI and Secrets are the directories of pairs and secrets; Owner looks a user up.
	PKI, Secrets string
	Owner        func(name string) (uid int, err error)
	// Shown are the directories in which systemd finds units, the generators' first.
	Shown []string
	Board Board
	// Looked, unless nil, is called after each look at everything that no event asked for.
	Looked func()
	Now    func() time.Time
	Log    *slog.Logger

	once  sync.Once
	rearm chan struct{}

	mu   sync.Mutex
	said protocol.Condition // last

	watcher *fsnotify.Watcher // nil when the kernel does not tell us
	armed   *armed            // nil while nothing is guarded
	limit   limiter
	tally   tally
	// reload and suspects are what is still to be asked of systemd.
	reload   bool
	suspects []suspect
	doubts   map[string]time.Time // by path, since when
}

func (g *Guard) init() {
	g.once.Do(func() {
		g.rearm = make(chan struct{}, 1)
		if g.Now == nil {
			g.Now = time.Now
		}
	})
}

// Rearm has the guard look which generation is current. Call it when an application has ended.
func (g *Guard) Rearm() {
	g.init()
	select {
	case g.rearm <- struct{}{}:
	default:
	}
}

// Run guards until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	g.init()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		g.Log.Warn("changes are only seen when looking for them", "every", Every, "error", err)
	} else {
		defer func() { _ = watcher.Close() }()
		g.watcher = watcher
	}
	g.arm(ctx)
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	settle := time.NewTimer(gather)
	defer settle.Stop()
	for ticks := 0; ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-g.rearm:
			g.arm(ctx)
		case <-g.events():
			settle.Reset(gather)
		case err := <-g.faults():
			g.Log.Warn("some changes were not told", "error", err)
			settle.Reset(gather)
		case <-settle.C:
			if again := g.check(ctx); again {
				settle.Reset(retry)
			}
		case <-ticker.C:
			ticks++
			if ticks%int(proveEvery/Every) == 0 {
				g.proveNext()
			}
			if again := g.check(ctx); again {
				settle.Reset(retry)
			}
			if g.Looked != nil {
				g.Looked()
			}
		}
	}
}

func (g *Guard) events() <-chan fsnotify.Event {
	if g.watcher == nil {
		return nil
	}
	return g.watcher.Events
}

func (g *Guard) faults() <-chan error {
	if g.watcher == nil {
		return nil
	}
	return g.watcher.Errors
}

// armed is the generation that is guarded.
type armed struct {
	number uint64
	digest string // of the plan, as the journal has it
	drift  *plan.Drift
	wants  []*want
	dirs   map[string]bool // to look for strangers in, and to watch
	units  []string
	proven map[string]print
	// unproven are files of images that were linked anew since they were hashed, or never hashed by
	// this process.
	unproven []string
	copy     []byte // the delivery, packed, in case the one on disk is what was changed
}

func (a *armed) put(path string, now print) {
	a.proven[path] = now
	a.unproven = append(a.unproven, path)
}

// errNotConfirmed says that there is nothing to guard now.
var errNotConfirmed = errors.New("no confirmed generation is current")

// arm guards the current generation, if it is confirmed and nobody is at work on another.
func (g *Guard) arm(ctx context.Context) {
	next, err := g.next()
	switch {
	case errors.Is(err, errNotConfirmed):
		g.disarm()
		return
	case err != nil:
		g.Log.Error("the current generation cannot be guarded", "error", err)
		g.say(protocol.Condition{Type: Type, Status: "Unknown", Reason: "Unprovable", Message: fmt.Sprintf("what is right cannot be known: %v", err)})
		if g.armed == nil || next == nil || g.armed.number != next.number {
			g.disarm()
		}
		return
	case next == nil:
		return // the same as before
	}
	g.disarm()
	g.armed = next
	g.sweep()
	g.watch()
	g.Log.Info("the current generation is guarded", "generation", next.number, "things", len(next.wants))
	g.check(ctx)
}

// sweep removes what a repair that was cut off left half written.
func (g *Guard) sweep() {
	for dir := range g.armed.dirs {
		if err := durable.Sweep(dir); err != nil {
			g.Log.Warn("what an interrupted repair left stays", "error", err)
		}
	}
}

func (g *Guard) disarm() {
	if g.armed == nil {
		return
	}
	if g.watcher != nil {
		for _, dir := range g.watcher.WatchList() {
			_ = g.watcher.Remove(dir)
		}
	}
	g.armed = nil
}

// watch asks the kernel to tell of changes.
func (g *Guard) watch() {
	if g.watcher == nil {
		return
	}
	for dir := range g.armed.dirs {
		_ = g.watcher.Add(dir) // one that is gone is found by looking
	}
	for _, dir := range append([]string{g.Generations.Root}, g.Shown...) {
		_ = g.watcher.Add(dir)
	}
}
