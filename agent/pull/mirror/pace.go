package mirror

import (
	"context"
	"sync"
	"time"
)

// burst is how far reads may run ahead of the pace.
const burst = 100 * time.Millisecond

// Pace keeps all readers together within a rate. A nil Pace does not limit.
type Pace struct {
	mu   sync.Mutex
	rate float64   // bytes a second
	paid time.Time // until when what was read is paid for
}

// NewPace returns a pace of that many bytes a second; nil for 0 and below.
func NewPace(rate int64) *Pace {
	if rate <= 0 {
		return nil
	}
	return &Pace{rate: float64(rate)}
}

// Piece is how many bytes should be read at a time, so that waits stay short.
func (p *Pace) Piece(n int) int {
	if p == nil {
		return n
	}
	return min(n, max(1024, int(p.rate/10)))
}

// Wait accounts for n bytes that were read, and waits until they are paid for or ctx ends.
func (p *Pace) Wait(ctx context.Context, n int64) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	wait := p.paid.Sub(now) - burst
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
