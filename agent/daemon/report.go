package daemon

import (
	"log/slog"
	"sync"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/status"
)

// reporter shows what goes into the outbox in the status file and the log, too.
type reporter struct {
	*signal.Outbox
	status *statusWriter
}

// Prepare implements apply.Reporter.
func (r *reporter) Prepare(s protocol.Signal) protocol.Signal {
	s = r.Outbox.Prepare(s)
	r.status.signal(s)
	return s
}

// Progress implements apply.Reporter.
func (r *reporter) Progress(s protocol.Signal) {
	r.Outbox.Progress(s)
	r.status.progress(s)
}

// pace is the least time between two writes of mere progress to the status file.
const pace = 500 * time.Millisecond

// statusWriter keeps the status file. A failure to write it is logged and nothing else.
type statusWriter struct {
	file status.File
	log  *slog.Logger

	mu   sync.Mutex
	now  status.Status
	last time.Time
}

func (w *statusWriter) update(change func(*status.Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.now)
	w.last = time.Now()
	if err := w.file.Write(w.now); err != nil {
		w.log.Debug("the status file is not written", "error", err)
	}
}

func (w *statusWriter) doing(text string) {
	w.update(func(s *status.Status) { s.Doing = text })
}

func (w *statusWriter) failed(err error) {
	w.update(func(s *status.Status) { s.Doing, s.Reason = status.Failed, err.Error() })
}

func (w *statusWriter) plan(p *plan.Plan, digest string) {
	w.update(func(s *status.Status) {
		s.Doing, s.Generation, s.PlanDigest, s.Reason = "applying the plan", p.Generation, digest, ""
		s.Registries = p.Registries
	})
}

func (w *statusWriter) conditions(all []protocol.Condition) {
	w.update(func(s *status.Status) { s.Conditions = all })
}

func (w *statusWriter) signal(s protocol.Signal) {
	w.log.Info("signal", "phase", s.Phase, "deployment", s.Deployment, "reason", s.Reason)
	w.update(func(now *status.Status) { now.Phase, now.Reason, now.Progress = s.Phase, s.Reason, nil })
}

func (w *statusWriter) progress(s protocol.Signal) {
	w.mu.Lock()
	early := time.Since(w.last) < pace
	w.mu.Unlock()
	if !early {
		w.update(func(now *status.Status) { now.Phase, now.Progress = s.Phase, s.Progress })
	}
}
