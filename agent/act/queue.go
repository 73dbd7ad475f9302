package act

import (
	"context"
	"sync"
)

// queue is a list of work and a bell for who does it. Its zero value is empty. The caller of put
// holds the lock that serve is given.
type queue[T any] struct {
	items []T
	bell  chan struct{} // made by who waits, closed by put
}

func (q *queue[T]) put(item T) {
	q.items = append(q.items, item)
	if q.bell != nil {
		close(q.bell)
		q.bell = nil
	}
}

// serve takes items in their order until ctx ends or one fails.
func serve[T any](ctx context.Context, mu *sync.Mutex, q *queue[T], each func(T) error) error {
	for {
		mu.Lock()
		if len(q.items) > 0 {
			item := q.items[0]
			q.items = q.items[1:]
			mu.Unlock()
			if err := each(item); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue
		}
		if q.bell == nil {
			q.bell = make(chan struct{})
		}
		bell := q.bell
		mu.Unlock()
		select {
		case <-bell:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
