package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/local"
)

// rollbackCommand goes back to the generation before: through the agent when it runs, which alone
// may write its journal then, or in its place.
func rollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the confirmed generation before the current one; its plan is not applied again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := goBack(cmd.Context())
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			}
			return err
		},
	}
}

func goBack(ctx context.Context) (string, error) {
	done, err := local.Ask(ctx, local.Path, local.Request{Do: local.RollBack})
	if !errors.Is(err, local.ErrNoAgent) {
		return done, err
	}
	actor := fmt.Sprintf("on-host (uid %d, pid %d)", os.Getuid(), os.Getpid())
	return daemon.RollBack(ctx, daemon.Defaults(), actor, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
