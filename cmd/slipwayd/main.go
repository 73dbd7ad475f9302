// Command slipwayd is Slipway's control plane: `slipwayd serve` answers tenants (Magnum's API
// and the read side of Heat's), nodes (plans, signals, certificates) and image pulls, and
// carries out what was asked for. Exit codes: 0 ended on request, 1 failed, 2 usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipwayd/internal/serve"
	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/conductor"
	"slipway.build/slipway/controlplane/pki"
)

func main() {
	syscall.Umask(0o022) // whatever the caller's: what is made for nodes is read by their users
	os.Exit(run())
}

// usageError is an error about the command line.
type usageError struct{ error }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command().ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "slipwayd:", err)
		return 2
	}
	fmt.Fprintln(os.Stderr, "slipwayd:", err)
	return 1
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "slipwayd", Short: "The control plane of Slipway",
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("say `slipwayd serve`; --help has the rest")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	var o serve.Options
	var level string
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve tenants, nodes and image pulls until told to end", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return usageError{fmt.Errorf("--log-level: %w", err)}
			}
			if err := o.Check(); err != nil {
				return usageError{err}
			}
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
			return serve.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.State, "state", "/var/lib/slipway", "state directory")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:9511", "address of the tenants' APIs; loopback, as there is no authentication")
	f.StringVar(&o.NodeListen, "node-listen", "172.29.0.1:9512", "address of the node API, as nodes reach it")
	f.StringVar(&o.RegistryListen, "registry-listen", "172.29.0.1:5000", "address of the image registry, as nodes reach it")
	f.IntVar(&o.Parallel, "parallel", 0, "bound on cloud calls in flight (0: the engine's default)")
	f.DurationVar(&o.NodeCertificateLife, "node-certificate-life", pki.LeafLifetime, "life of a node's own certificate, which it renews at two thirds of it")
	f.DurationVar(&o.ComponentCertificateLife, "component-certificate-life", components.Lifetime, "life of the certificates of a node's components, renewed likewise")
	f.DurationVar(&o.PlanLife, "plan-life", conductor.PlanLife, "how long a node may begin to apply a plan after it was made")
	f.DurationVar(&o.PlanKeyLife, "plan-key-life", pki.PlanKeyLife, "age at which the key that signs plans is replaced, with overlap")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(cmd)
	return root
}
