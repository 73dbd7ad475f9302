package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/local"
	"slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/status"
)

// serveLocal answers what root asks on the node. A node without the socket works all the same.
func (c Config) serveLocal(ctx context.Context, f *follower) error {
	if c.LocalSocket == "" {
		return nil
	}
	listener, err := local.Listen(c.LocalSocket)
	if err != nil {
		f.log.Warn("nothing can be asked of the agent on the node", "error", err)
		return nil
	}
	server := &local.Server{Log: f.log, Answer: func(ctx context.Context, r local.Request, peer string) (string, error) {
		if r.Do != local.RollBack {
			return "", fmt.Errorf("the agent knows no %q", r.Do)
		}
		return f.rollBack(ctx, peer)
	}}
	return server.Serve(ctx, listener)
}

// rollBack ends what is being applied, goes back, and goes on with the generation that runs then, if
// it is not confirmed yet.
func (f *follower) rollBack(ctx context.Context, actor string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop(apply.ErrByHand)
	f.status.doing("going back by hand")
	done, err := f.applier.RollBack(ctx, actor)
	f.settled()
	switch {
	case errors.Is(err, apply.ErrRestart):
		f.end(apply.ErrRestart)
		return "the generation before is current again, and its agent starts now", nil
	case err != nil:
		f.status.doing("did not go back by hand: " + err.Error())
		return "", err
	}
	f.status.doing(done)
	if delivery, ok := f.unfinished(); ok {
		f.begin(ctx, delivery)
	}
	return done, nil
}

// RollBack goes back by hand on a node whose agent does not run; what it reports leaves when the
// agent runs again. It fails while an agent runs, whose journal it needs.
func RollBack(ctx context.Context, c Config, actor string, log *slog.Logger) (string, error) {
	identity, err := join.Load(filepath.Join(c.state(), "identity"))
	if err != nil {
		return "", err
	}
	memory, err := journal.Open(c.state())
	if err != nil {
		return "", err
	}
	defer func() { _ = memory.Close() }()
	systemd, err := c.Systemd(ctx)
	if err != nil {
		return "", err
	}
	// Going back needs no server: everything of the generation before is on the node.
	c.Self, c.Registry = nil, &http.Client{Transport: unreachable{}}
	outbox := signal.New(memory, identity.Node(), nil, log)
	show := &statusWriter{file: status.File{}, log: log}
	a := c.applier(identity, &nodeapi.Client{}, memory, systemd, &reporter{Outbox: outbox, status: show}, log)
	return a.RollBack(ctx, actor)
}

// unreachable answers no request.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fault.Terminalf("nothing is fetched while going back")
}
