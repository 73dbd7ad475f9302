package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/cluster/etcd"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/importer"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/local"
	"slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/secrets"
	"slipway.build/slipway/agent/self"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/source"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/turn"
	"slipway.build/slipway/agent/unitlog"
	"slipway.build/slipway/units/drive"
)

// Config says where things are; Defaults has the node's.
type Config struct {
	ConfigFile string // the agent's configuration from Ignition
	Root       string // generations, images, keys, state
	TrustDir   string
	BakedLock  string
	StatusFile string
	ImportTool string
	Socket     string // of the pods' runtime
	PlanFile   string // when not empty, the plan comes from this file
	// LocalSocket is where root may ask something of the agent; "" for nowhere.
	LocalSocket string
	// Shown are the directories in which systemd finds units, that of the generators first; none
	// are looked at when it is empty.
	Shown []string
	// Systemd connects to systemd; tests put a fake here.
	Systemd func(context.Context) (drive.Driver, error)
	// Self is the program that this process is; nil where there is no other.
	Self apply.Self
	// Now is the clock for all that has a validity; time.Now when nil.
	Now func() time.Time
	// Registry fetches images.
	Registry *http.Client
}

// Defaults returns a node's configuration.
func Defaults() Config {
	return Config{
		ConfigFile: plan.AgentConfig, Root: plan.Root, TrustDir: plan.TrustDir, BakedLock: plan.BakedLock,
		Self:       self.As(filepath.Join(plan.Root, "state"), os.Environ()),
		StatusFile: status.Path, LocalSocket: local.Path, Shown: shown(), ImportTool: plan.ImportTool, Socket: importer.DefaultSocket,
		Systemd:  func(ctx context.Context) (drive.Driver, error) { return drive.Connect(ctx) },
		Registry: pull.NewClient(),
	}
}

// Run runs the agent until ctx ends. It returns an error only when it cannot go on: a refused
// join, a journal that cannot be opened, no systemd.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	config, err := c.await(ctx, log)
	if err != nil {
		return err
	}
	show := &statusWriter{file: status.File{Path: c.StatusFile}, log: log, now: status.Status{Node: config.Node}}
	if before, err := status.Read(c.StatusFile); err == nil {
		show.now.Conditions = before.Conditions
	}
	show.doing("joining " + config.ControlPlane)
	log.Info("configuration read", "node", config.Node, "controlPlane", config.ControlPlane)
	identity, err := enter(ctx, c, config, log)
	if err != nil {
		show.failed(err)
		return err
	}
	show.doing("waiting for a plan")
	var refused refusals
	api, err := c.dial(config, identity.Certificate, log, nodeapi.OnRejected(refused.tell))
	if err != nil {
		return err
	}
	defer api.Close()
	plans := askAhead(ctx, c.source(api, log))
	defer plans.stop()
	bare, err := c.dial(config, nil, log)
	if err != nil {
		return err
	}
	defer bare.Close()
	memory, err := journal.Open(c.state())
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	systemd, err := c.Systemd(ctx)
	if err != nil {
		return err
	}
	keeper := &secrets.Keeper{Dir: filepath.Join(c.Root, "secrets"), API: api}
	outbox := signal.New(memory, identity.Node(), func() []string { return append(keeper.Values(), config.Token) }, log)
	a := c.applier(identity, api, memory, systemd, &reporter{Outbox: outbox, status: show}, log)
	a.Puller.Bandwidth = config.Bandwidth
	warnOfClock(a.Trust, log)
	current := &running{root: c.Root}
	renewer := c.renewer(identity, bare, api, a, current, log)
	refused.to(renewer)
	contact := make(chan struct{})
	a.Contact = contact
	w := &watched{root: c.Root, identity: identity, api: api, memory: memory, systemd: systemd, current: current}
	board := w.board(outbox, show, log)
	actions := c.actions(a, w, api, outbox, log)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return board.Run(ctx) })
	group.Go(func() error { return outbox.Run(ctx, api) })
	group.Go(func() error { return renewer.Run(ctx) })
	guard := c.guard(a, board, log)
	board.Add(guard)
	group.Go(func() error { return guard.Run(ctx) })
	group.Go(func() error { return actions.Run(ctx) })
	follower := &follower{
		applier: a, log: log, source: plans, status: show, contact: contact, actions: actions, settled: func() {
			renewer.Wake()
			guard.Rearm()
		},
	}
	following, end := context.WithCancelCause(ctx)
	defer end(nil)
	follower.end = end
	group.Go(func() error { return follower.run(following) })
	group.Go(func() error { return c.serveLocal(following, follower) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) || errors.Is(err, apply.ErrRestart) {
		return nil
	}
	return err
}

func (c Config) state() string { return filepath.Join(c.Root, "state") }

func (c Config) now() func() time.Time {
	if c.Now == nil {
		return time.Now
	}
	return c.Now
}

func (c Config) lockKeys() string { return filepath.Join(c.state(), trust.LockKeysFile) }

// enter joins, on a connection of its own: the next ones carry the certificate.
func enter(ctx context.Context, c Config, config protocol.AgentConfig, log *slog.Logger) (*join.Identity, error) {
	api, err := c.dial(config, nil, log)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	identity, err := join.Join(ctx, filepath.Join(c.state(), "identity"), config, api, log)
	if err != nil {
		return nil, err
	}
	log.Info("joined", "node", identity.Node())
	return identity, nil
}

func (c Config) source(api source.API, log *slog.Logger) planSource {
	if c.PlanFile != "" {
		return &source.File{Path: c.PlanFile, Log: log}
	}
	return &source.ControlPlane{API: api, Log: log}
}

func (c Config) applier(identity *join.Identity, api controlPlane, memory *journal.Journal, systemd drive.Driver, r apply.Reporter, log *slog.Logger) *apply.Applier {
	images := &pull.Store{Dir: filepath.Join(c.Root, "images")}
	pki := filepath.Join(c.Root, "pki")
	return &apply.Applier{
		Learner:      identity,
		Trust:        &trust.Verifier{Node: identity.Node(), PlanKeys: identity.PlanKeys, TrustDir: c.TrustDir, Baked: c.BakedLock, LockKeys: c.lockKeys(), Now: c.Now},
		Journal:      memory,
		Generations:  &generation.Store{Root: c.Root, Images: images},
		Puller:       &pull.Puller{Store: images, Client: c.Registry},
		Certificates: &certificates.Maker{Dir: pki, API: api, Now: c.now()},
		Secrets:      &secrets.Keeper{Dir: filepath.Join(c.Root, "secrets"), API: api},
		Systemd:      systemd,
		Importer:     importer.Tool{Path: c.ImportTool, Socket: c.Socket},
		Reporter:     r,
		Logs:         unitlog.Last,
		LastWords:    unitlog.LastWords,
		Cluster:      func(api plan.API) *cluster.Client { return cluster.New(api, pki) },
		Etcd:         func(api plan.API) *etcd.Client { return etcd.New(api, pki) },
		Turn:         new(turn.Turn),
		Self:         c.Self,
		Now:          c.now(),
		Uptime:       apply.Uptime,
		Log:          log,
	}
}
