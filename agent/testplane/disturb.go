package testplane

import (
	"net/http"
	"strconv"
)

// Disturb puts a handler between the node and the control plane, which may lose, delay or refuse
// what passes; nil takes it away.
func (p *Plane) Disturb(between func(next http.Handler) http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.between = between
}

func (p *Plane) disturbed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		between := p.between
		p.mu.Unlock()
		if between == nil {
			next.ServeHTTP(w, r)
			return
		}
		between(next).ServeHTTP(w, r)
	})
}

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
