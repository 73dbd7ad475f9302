package debug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/unitlog"
	"slipway.build/slipway/units/drive"
)

// Node is a node as seen from its own disk.
type Node struct {
	Root       string
	TrustDir   string
	BakedLock  string
	ConfigFile string // the agent's configuration from Ignition
	StatusFile string
	Systemd    drive.Driver
	// Lines reads the machine's journal.
	Lines func(context.Context, unitlog.Query) ([]unitlog.Line, error)
	Now   func() time.Time
}

// Here returns the node that this program runs on. It works as far as it can without systemd,
// whose absence is then part of each answer. Call the function returned when done.
func Here(ctx context.Context) (*Node, func()) {
	n := &Node{
		Root: plan.Root, TrustDir: plan.TrustDir, BakedLock: plan.BakedLock, ConfigFile: plan.AgentConfig,
		StatusFile: status.Path, Lines: unitlog.Read, Now: time.Now,
	}
	systemd, err := drive.Connect(ctx)
	if err != nil {
		n.Systemd = absent{err}
		return n, func() {}
	}
	n.Systemd = systemd
	return n, systemd.Close
}

// absent is the driver of a systemd that does not answer.
type absent struct{ err error }

func (a absent) Reload(context.Context) error                             { return a.err }
func (a absent) Queue(context.Context, []drive.Job) (<-chan error, error) { return nil, a.err }
func (a absent) Status(context.Context, string) (drive.Status, error)     { return drive.Status{}, a.err }
func (a absent) Changed() <-chan struct{}                                 { return nil }
func (a absent) States(context.Context, []string) (map[string]drive.State, error) {
	return nil, a.err
}

func (n *Node) store() *generation.Store {
	return &generation.Store{Root: n.Root, Images: &pull.Store{Dir: filepath.Join(n.Root, "images")}}
}

func (n *Node) stateDir() string { return filepath.Join(n.Root, "state") }

// Plan returns the current generation's plan, nil when there is none.
func (n *Node) Plan() (*plan.Plan, error) {
	g, err := n.current()
	if err != nil || g == nil {
		return nil, err
	}
	return g.Plan, nil
}

func (n *Node) current() (*generation.Generation, error) {
	number, err := n.store().CurrentNumber()
	if err != nil || number == 0 {
		return nil, err
	}
	return n.store().Load(number)
}

// ErrNone says that the node has not applied a plan yet.
var ErrNone = errors.New("there is no current generation: the agent has not applied a plan yet; see `slipway-agent status`")

// checked verifies a generation's delivery again, offline.
func (n *Node) checked(ctx context.Context, number uint64) (*trust.Checked, error) {
	delivery, err := n.store().Delivery(number)
	if err != nil {
		return nil, err
	}
	verifier, err := n.verifier()
	if err != nil {
		return nil, err
	}
	return verifier.Check(ctx, delivery)
}

func (n *Node) verifier() (*trust.Verifier, error) {
	known, err := n.known()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this node has not joined: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &trust.Verifier{Node: known.Node, PlanKeys: known.EveryPlanKey, TrustDir: n.TrustDir, Baked: n.BakedLock, LockKeys: filepath.Join(n.stateDir(), trust.LockKeysFile)}, nil
}

func (n *Node) known() (*join.Known, error) {
	return join.ReadKnown(filepath.Join(n.stateDir(), "identity"))
}
