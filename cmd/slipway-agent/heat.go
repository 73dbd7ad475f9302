package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/status"
)

// heatCommand is Heat mode on its own.
func heatCommand(format *string) *cobra.Command {
	root := ""
	heatPaths := func() heat.Config {
		if root == "" {
			return heat.Defaults()
		}
		return heat.Defaults().Below(root)
	}
	group := &cobra.Command{Use: "heat", Short: "Stand in for os-collect-config and heat-config of an existing Heat"}
	group.PersistentFlags().StringVar(&root, "root", "", "look for everything below this directory instead of /")
	plans := false
	run := &cobra.Command{
		Use: "run", Short: "Collect this server's metadata, run its deployments, signal Heat", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer notify(cmd.Context())()
			config := heatPaths()
			if plans {
				config.Hooks.Plans = heat.FilePlans{Path: filepath.Join(config.StateDir, "plan.json"), Status: status.Path}
			}
			return heat.Run(cmd.Context(), config, journalLog())
		},
	}
	run.Flags().BoolVar(&plans, "plans", false, "hand plans of the group slipway to `slipway-agent run --plan "+filepath.Join(plan.StateDir, "heat", "plan.json")+"`")
	show := &cobra.Command{
		Use: "status", Short: "Show the deployments, and what does not work", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return showHeat(cmd, heatPaths(), *format) },
	}
	group.AddCommand(run, show)
	return group
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// besideHeat starts Heat mode when this node was made by a Heat alone; wait returns when it has
// ended.
func besideHeat(ctx context.Context, agentConfig string, log *slog.Logger) (wait func()) {
	config := heat.Defaults()
	if !config.Wanted(agentConfig) {
		return func() {}
	}
	var running sync.WaitGroup
	running.Go(func() { heat.Keep(ctx, config, log) })
	return running.Wait
}

func showHeat(cmd *cobra.Command, config heat.Config, format string) error {
	now, err := heat.ReadStatus(config.StatusFile)
	if err != nil {
		return fmt.Errorf("%w (is Heat mode running?)", err)
	}
	out := cmd.OutOrStdout()
	if format == "json" {
		return printJSON(out, now)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "DEPLOYMENT\tNAME\tGROUP\tBEGAN\tSTATE\tSIGNAL\tREASON")
	for _, d := range now.Deployments {
		state := string(d.Step)
		if d.Failed {
			state = "failed"
		}
		telling := string(d.Telling)
		if telling == "" {
			telling = "-"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.Name, d.Group, d.Began.Format("15:04:05"), state, telling, d.Reason)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for what, fault := range now.Faults {
		_, _ = fmt.Fprintf(out, "\n%s does not work: %s\n", what, fault)
	}
	return nil
}
