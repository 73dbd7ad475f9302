package testplane

import (
	"net/http"
	"strconv"
	"sync"
)

// Disturbance stands between a node and a server, and may lose, delay or refuse what passes.
type Disturbance struct {
	mu      sync.Mutex
	between func(next http.Handler) http.Handler
}

// Set puts a handler in between; nil takes it away.
func (d *Disturbance) Set(between func(next http.Handler) http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.between = between
}

// Wrap returns a handler that is disturbed as Set says at each request.
func (d *Disturbance) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		between := d.between
		d.mu.Unlock()
		if between == nil {
			next.ServeHTTP(w, r)
			return
		}
		between(next).ServeHTTP(w, r)
	})
}

// Disturb puts a handler between the node and the control plane; nil takes it away.
func (p *Plane) Disturb(between func(next http.Handler) http.Handler) { p.disturbance.Set(between) }

// Forget drops all signals, as if none had ever come.
func (p *Plane) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signals, p.seen = nil, map[string]bool{}
}

// Deliveries returns how often a plan was delivered.
func (p *Plane) Deliveries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deliveries
}

// Redeliver delivers the current plan once more, as a control plane does that has forgotten what
// the node has.
func (p *Plane) Redeliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.etag = `"again-` + strconv.Itoa(p.polls) + `"`
	p.news()
}
