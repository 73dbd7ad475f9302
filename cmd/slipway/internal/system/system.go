package system

import (
	"context"
	"path/filepath"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/daemon"
	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
)

// NodeOS makes what nodes boot from. Both methods find out what is there already and say
// what they do through say.
type NodeOS interface {
	// Base makes the base tree and returns a word about it.
	Base(ctx context.Context, say func(format string, a ...any)) (string, error)
	// Layer makes the OS layer out of the agent, the signed lock and the trusted key, and what
	// servers boot from. It runs after Base.
	Layer(ctx context.Context, say func(format string, a ...any)) (string, error)
}

// Cloud is the local cloud, as far as its life on this machine goes.
type Cloud interface {
	// Prepare makes what must be there before slipwayd can listen.
	Prepare(ctx context.Context) error
	// Sweep removes everything that the local cloud made on this machine, whoever made it.
	Sweep(ctx context.Context) error
}

// System is Slipway on this machine.
type System struct {
	Tree   worktree.Tree
	Paths  images.Paths
	Client *apiclient.Client
	Daemon *daemon.Daemon
	OS     NodeOS
	Cloud  Cloud
	Report progress.Reporter
}

// KubeconfigPath is where Up leaves the kubeconfig of a cluster.
func (s *System) KubeconfigPath(cluster string) string {
	return filepath.Join(s.Paths.State, "kubeconfig", cluster)
}
