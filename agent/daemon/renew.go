package daemon

import (
	"log/slog"
	"time"

	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/renewal"
	"slipway.build/slipway/agent/trust"
)

// renewer returns what renews the node's certificates. bare calls the control plane without an
// identity; what goes through api changes to the new one.
func (c Config) renewer(identity *join.Identity, bare, api controlPlane, a *apply.Applier, current *running, log *slog.Logger) *renewal.Renewer {
	r := renewal.New(renewal.Config{
		Identity: identity, API: bare, Renewed: api.Reconnect, Pairs: a.Certificates, Plan: current.plan,
		Restarts: &renewal.Restarter{
			Journal: a.Journal, Current: a.Certificates.Current, Plan: current.plan, Systemd: a.Systemd, Now: c.now(), Log: log,
		},
		Now: c.now(), Log: log,
	})
	a.Certificates.Owe = func(restarts []journal.Owed) error {
		defer r.Wake()
		return a.Journal.Owe(restarts)
	}
	return r
}

// warnOfClock says in the log when the machine's clock cannot be right.
func warnOfClock(verifier *trust.Verifier, log *slog.Logger) {
	if text, behind := verifier.ClockBehind(); behind {
		log.Error("the clock is wrong", "why", text, "now", time.Now())
	}
}
