package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/faultpoint"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/self"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := newRoot(os.Stdout)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "slipway-agent:", err)
		var usage usageError
		if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

func newRoot(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "slipway-agent",
		Short:         "The agent of a Slipway node",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(out)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	format := root.PersistentFlags().StringP("output", "o", "text", "form of the output: text or json")
	root.AddCommand(runCommand(), trialEndCommand(), rollbackCommand(), heatCommand(format))
	root.AddCommand(debugCommands(format, out)...)
	for _, command := range root.Commands() {
		if args := command.Args; args != nil {
			command.Args = func(cmd *cobra.Command, given []string) error {
				if err := args(cmd, given); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
	}
	return root
}

func runCommand() *cobra.Command {
	config := daemon.Defaults()
	config.Now = faultpoint.Now
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Join, follow this node's plan and apply it (what the unit runs)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := journalLog()
			daemon.Launch(config, os.Args, os.Environ(), log)
			defer notify(cmd.Context())()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer besideHeat(ctx, config.ConfigFile, log)()
			defer cancel()
			return daemon.Run(ctx, config, log)
		},
	}
	cmd.Flags().StringVar(&config.PlanFile, "plan", "", "follow the plan in this file (a signed delivery) instead of the control plane's")
	return cmd
}

// journalLog is the log of what systemd runs.
func journalLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{} // the journal has it
			}
			return a
		},
	}))
}

// trialEndCommand is what the timer of a trial runs.
func trialEndCommand() *cobra.Command {
	return &cobra.Command{
		Use:    self.ExpireCommand,
		Short:  "End the trial of an agent that has not proven itself",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ended, err := self.Expire(plan.Root)
			if err != nil || !ended {
				return err
			}
			return self.Restart(cmd.Context())
		},
	}
}
