package pull

import (
	"context"
	"sync"
)

// slots bounds how many layers are unpacked at the same time, and gives a free slot to the
// largest layer that waits: the last one to finish should not be one that began late.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting []*waiter
}

type waiter struct {
	size    int64
	granted chan struct{}
}

func (s *slots) acquire(ctx context.Context, size int64) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	w := &waiter{size: size, granted: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		s.forget(w)
		return context.Cause(ctx)
	}
}

// forget takes back a waiter that gave up; a slot that it was just given goes on to the next.
func (s *slots) forget(w *waiter) {
	s.mu.Lock()
	for i, other := range s.waiting {
		if other == w {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			s.mu.Unlock()
			return
		}
	}
	s.mu.Unlock()
	s.release()
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.free++
		return
	}
	largest := 0
	for i, w := range s.waiting {
		if w.size > s.waiting[largest].size {
			largest = i
		}
	}
	close(s.waiting[largest].granted)
	s.waiting = append(s.waiting[:largest], s.waiting[largest+1:]...)
}
