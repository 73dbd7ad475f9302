package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/act"
	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/boot"
	"slipway.build/slipway/agent/bundle"
	"slipway.build/slipway/agent/conditions"
	"slipway.build/slipway/agent/debug"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/unitlog"
)

// actions returns who does remote actions, with all kinds that this agent can do.
func (c Config) actions(a *apply.Applier, w *watched, api controlPlane, outbox *signal.Outbox, log *slog.Logger) *act.Runner {
	current := func() (*plan.Plan, error) { return currentPlan(c.Root) }
	node := &debug.Node{
		Root: c.Root, TrustDir: c.TrustDir, BakedLock: c.BakedLock, ConfigFile: c.ConfigFile, StatusFile: c.StatusFile,
		Systemd: a.Systemd, Lines: unitlog.Read, Now: time.Now,
	}
	spool := filepath.Join(c.state(), "archives")
	if err := act.SweepBundles(spool); err != nil {
		log.Warn("archives of an earlier run stay", "error", err)
	}
	return &act.Runner{
		Node: w.identity.Node(), Keys: w.identity.PlanKeys, Journal: a.Journal, Reporter: outbox, Turn: a.Turn,
		Doers: map[action.Kind]act.Doer{
			action.Restart: &act.Restart{Systemd: a.Systemd, Current: current, Logs: unitlog.Last},
			action.Logs:    &act.UnitLogs{Current: current, Read: unitlog.Read},
			action.Pull:    &act.Pull{Locks: a.Trust, Puller: a.Puller},
			action.Renew:   &act.Renew{Current: current, Certificates: a.Certificates},
			action.Reboot:  &act.Reboot{Systemd: a.Systemd, Flush: func(ctx context.Context) error { return outbox.Flush(ctx, api) }},
			action.Bundle: &act.Bundle{Dir: spool, Upload: api, Collect: func(ctx context.Context, w io.Writer) error {
				return bundle.Write(ctx, supported{node, a.Secrets.Values}, w)
			}},
			action.Check: &act.Check{Checkers: checkers(w, node, current)},
		},
		Boot: boot.ID, Now: time.Now, Log: log,
	}
}

// supported is the node as its support archive shows it, without the values of its secrets.
type supported struct {
	*debug.Node
	values func() []string
}

// Secrets implements bundle.Source.
func (s supported) Secrets() []string { return append(s.Node.Secrets(), s.values()...) }

// checkers look at the node in the way in which its conditions do, but now and once.
func checkers(w *watched, node *debug.Node, current act.Current) map[action.CheckName]act.Checker {
	return map[action.CheckName]act.Checker{
		action.CheckVerify: func(ctx context.Context) ([]protocol.ActionResult, error) { return verify(ctx, node) },
		action.CheckProbes: func(ctx context.Context) ([]protocol.ActionResult, error) { return act.AskReady(ctx, current) },
		action.CheckAPI:    func(ctx context.Context) ([]protocol.ActionResult, error) { return act.AskAwaited(ctx, current) },
		action.CheckUnits: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Units{Systemd: w.systemd, Wanted: w.current.units})
		},
		action.CheckDisk: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Disk{Path: w.root})
		},
		action.CheckMemory: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Memory{})
		},
		action.CheckClock: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Clock{Offset: w.offset})
		},
		action.CheckCertificates: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Expiry{Chains: w.chains, Now: time.Now})
		},
		action.CheckEtcd: func(ctx context.Context) ([]protocol.ActionResult, error) {
			return act.Look(ctx, &conditions.Checks{Now: time.Now, List: w.current.checks})
		},
	}
}

// verify compares what is on disk and what runs with the signed lock, and tells what differs.
func verify(ctx context.Context, node *debug.Node) ([]protocol.ActionResult, error) {
	report, err := node.Verify(ctx)
	if err != nil {
		return nil, err
	}
	status, bad := protocol.ResultOK, report.Bad()
	if bad > 0 {
		status = protocol.ResultTrouble
	}
	results := []protocol.ActionResult{{
		Status: status, Message: fmt.Sprintf("%d of %d files and processes match the signed lock", len(report.Findings)-bad, len(report.Findings)),
	}}
	for _, finding := range report.Findings {
		if !finding.OK {
			results = append(results, protocol.ActionResult{
				Name: finding.What, Status: protocol.ResultTrouble, Message: fmt.Sprintf("expected %s, found %s", finding.Expected, finding.Found),
			})
		}
	}
	for _, skipped := range report.Skipped {
		results = append(results, protocol.ActionResult{Name: "skipped", Status: protocol.ResultUnknown, Message: skipped})
	}
	return results, nil
}
