package component

import (
	"sync"
	"time"
)

// Phase is what is happening to one image.
type Phase string

// The phases of an image, in this order; a cached image goes from Queued to Cached.
const (
	Queued   Phase = "queued"   // known, not begun
	Waiting  Phase = "waiting"  // another process builds the same image
	Building Phase = "building" // the go command runs; comes again with every line it prints
	Packing  Phase = "packing"  // layers and manifests are written
	Packed   Phase = "packed"   // done, built here
	Cached   Phase = "cached"   // done, found in the cache
	Failed   Phase = "failed"   // Err says why
)

// Event is one step of one image on one platform.
type Event struct {
	Image    string
	Version  string
	Platform string
	Phase    Phase
	// Detail is the package that the go command has just begun, or what it downloads.
	Detail string
	// Packages counts the packages compiled so far; the Go build cache's are not among them.
	Packages int
	// Bytes is the size of the compressed layers, with Packed and Cached.
	Bytes int64
	// Elapsed is the time since the image left the queue.
	Elapsed time.Duration
	// Done and Total count the images that have ended and all of this run; Remaining is how long
	// the others will take, by what they or their like took before; zero if nothing is known.
	Done, Total int
	Remaining   time.Duration
	Err         error
}

// ended says whether nothing more follows.
func (p Phase) ended() bool { return p == Packed || p == Cached || p == Failed }

// reporter hands events to a callback one at a time, whoever sends them.
type reporter struct {
	mu       sync.Mutex
	call     func(Event)
	estimate *estimate
}

func (r *reporter) report(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.estimate.observe(e)
	if r.call == nil {
		return
	}
	e.Done, e.Total, e.Remaining = r.estimate.state()
	r.call(e)
}
