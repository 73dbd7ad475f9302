package heat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/heat/collect"
	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/heat/rest"
)

// Run runs Heat mode until ctx ends. It returns an error only when it cannot go on: the ledger
// cannot be opened or read.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	memory, err := ledger.Open(c.StateDir)
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	client := &rest.Client{Roots: c.Roots}
	defer client.Close()
	tokens := &keystone.Client{HTTP: client, Now: time.Now}
	id := uuid.NewString()
	show := newBoard(c.StatusFile, log)
	g := newGatherer(c, collectors(c, client, tokens, id), show, log)
	t := &teller{
		config: c, ledger: memory, gatherer: g, board: show, log: log, wake: make(chan struct{}, 1),
		sender: &notify.Sender{HTTP: client, Keystone: tokens, ClientID: id},
	}
	w := &worker{config: c, ledger: memory, gatherer: g, teller: t, board: show, log: log}
	log.Info("Heat mode", "metadata", c.InitData, "state", c.StateDir)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.run(ctx) })
	group.Go(func() error { return w.run(ctx) })
	group.Go(func() error { return t.run(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func collectors(c Config, client *rest.Client, tokens *keystone.Client, id string) map[string]collect.Collector {
	all := map[string]collect.Collector{}
	add := func(collector collect.Collector) { all[collector.Name()] = collector }
	add(&collect.HeatLocal{Path: c.InitData})
	add(&collect.CFN{HTTP: client, Hint: c.Hint})
	add(&collect.Heat{Keystone: tokens})
	add(&collect.Request{HTTP: client})
	add(&collect.Local{Dir: c.LocalData})
	add(&collect.Zaqar{Keystone: tokens, ClientID: id})
	if c.MetadataService != "" {
		add(&collect.EC2{
			HTTP: client, URL: c.MetadataService, Drive: c.Drive, Now: time.Now,
			Kept: func() (metadata.Document, bool) { return c.Cache.Load("ec2") },
		})
	}
	return all
}
