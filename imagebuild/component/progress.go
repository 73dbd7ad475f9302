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
	Packing  Phase = "packing"  // layer, manifest and index are written
	Packed   Phase = "packed"   // done, built here
	Cached   Phase = "cached"   // done, found in the cache
	Failed   Phase = "failed"   // Err says why
)

// Event is one step of one image.
type Event struct {
	Image string
	Phase Phase
	// Detail is the package that the go command has just begun, or what it downloads.
	Detail string
	// Packages counts the packages compiled so far; the Go build cache's are not among them.
	Packages int
	// Bytes is the size of the compressed layers, with Packed and Cached.
	Bytes int64
	// Elapsed is the time since the image left the queue.
	Elapsed time.Duration
	Err     error
}

// reporter hands events to a callback one at a time, whoever sends them.
type reporter struct {
	mu   sync.Mutex
	call func(Event)
}

func (r *reporter) report(e Event) {
	if r.call == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call(e)
}
