package faults

import (
	"net/http"
	"sync"
)

// disturbance stands between the node and its registry.
type disturbance struct {
	mu      sync.Mutex
	between func(next http.Handler) http.Handler
}

func (d *disturbance) set(between func(next http.Handler) http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.between = between
}

func (d *disturbance) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		between := d.between
		d.mu.Unlock()
		if between == nil {
			next.ServeHTTP(rw, r)
			return
		}
		between(next).ServeHTTP(rw, r)
	})
}
