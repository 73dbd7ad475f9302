package loadbalancer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"slipway.build/slipway/controlplane/cloud/local/launch/nspawn"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

// Sweep removes every balancer on the host whose name begins with the prefix, whatever the
// records say: processes, namespaces, files, and then the records. What it cannot remove it
// reports, and goes on. It comes before the network's Sweep.
func (b *Balancers) Sweep(ctx context.Context) error {
	names, err := namespace.List()
	started, err2 := b.Launcher.List(ctx, b.prefix())
	errs := []error{err, err2}
	ours := regexp.MustCompile(`^` + b.prefix() + `[0-9a-f]{8}$`)
	seen := map[string]bool{}
	for _, name := range append(names, started...) {
		if ours.MatchString(name) && !seen[name] {
			seen[name] = true
			errs = append(errs, b.demolish(ctx, name, b.dir("none")))
		}
	}
	roots, err := filepath.Glob(filepath.Join(b.dir("*"), "root"))
	errs = append(errs, err)
	for _, root := range roots {
		errs = append(errs, nspawn.ForgetRoot(root))
	}
	for _, kind := range []string{"balancer", kindBalancer, kindListener, kindPool, kindMonitor, kindMember} {
		errs = append(errs, os.RemoveAll(filepath.Join(b.Store.Dir(), kind)))
	}
	return errors.Join(errs...)
}
