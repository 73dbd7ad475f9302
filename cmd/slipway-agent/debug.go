package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/debug"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/unitlog"
	"slipway.build/slipway/units/drive"
)

// debugCommands are the subcommands that look at the node and change nothing.
func debugCommands(format *string) []*cobra.Command {
	with := func(do func(cmd *cobra.Command, n *debug.Node, args []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			if *format != "text" && *format != "json" {
				return usageError{fmt.Errorf("-o %s: want text or json", *format)}
			}
			systemd, err := drive.Connect(cmd.Context())
			if err != nil {
				return err
			}
			defer systemd.Close()
			n := &debug.Node{
				Root: plan.Root, TrustDir: plan.TrustDir, BakedLock: plan.BakedLock,
				StatusFile: status.Path, Systemd: systemd, Logs: unitlog.Last,
			}
			return do(cmd, n, args)
		}
	}
	lines := new(int)
	logs := &cobra.Command{Use: "logs UNIT", Short: "Print the last lines of a unit's log", Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, n *debug.Node, args []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), n.Logs(cmd.Context(), args[0], *lines))
			return err
		})}
	logs.Flags().IntVarP(lines, "lines", "n", 50, "how many lines")
	return []*cobra.Command{
		logs,
		{Use: "status", Short: "What the agent does, and how the current generation's units are", Args: cobra.NoArgs,
			RunE: with(func(cmd *cobra.Command, n *debug.Node, _ []string) error { return showStatus(cmd, n, *format) })},
		{Use: "plan", Short: "Print the current generation's plan (JSON)", Args: cobra.NoArgs,
			RunE: with(func(cmd *cobra.Command, n *debug.Node, _ []string) error {
				p, err := n.Plan()
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), p)
			})},
		{Use: "verify", Short: "Hash what is on disk and what runs, and compare with the signed lock", Args: cobra.NoArgs,
			RunE: with(func(cmd *cobra.Command, n *debug.Node, _ []string) error { return showVerify(cmd, n, *format) })},
		{Use: "why UNIT", Short: "Tell why a unit is as it is", Args: cobra.ExactArgs(1),
			RunE: with(func(cmd *cobra.Command, n *debug.Node, args []string) error {
				lines, err := n.Why(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if *format == "json" {
					return printJSON(cmd.OutOrStdout(), lines)
				}
				for _, line := range lines {
					_, _ = fmt.Fprintln(cmd.OutOrStdout(), line)
				}
				return nil
			})},
	}
}

func showStatus(cmd *cobra.Command, n *debug.Node, format string) error {
	overview, err := n.Overview(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if format == "json" {
		return printJSON(out, overview)
	}
	if a := overview.Agent; a == nil {
		_, _ = fmt.Fprintln(out, "agent       has not run since the boot")
	} else {
		since := "since " + a.Since.Format("15:04:05")
		if a.Phase != "" {
			since = "phase " + string(a.Phase) + ", " + since
		}
		_, _ = fmt.Fprintf(out, "agent       %s (%s)\n", a.Doing, since)
		if a.Reason != "" {
			_, _ = fmt.Fprintf(out, "reason      %s\n", a.Reason)
		}
	}
	if overview.Current == 0 {
		_, _ = fmt.Fprintln(out, "generation  none")
		return showConditions(out, overview.Agent)
	}
	_, _ = fmt.Fprintf(out, "node        %s (%s, %s)\ngeneration  %d\n\n", overview.Node.Name, overview.Node.Role, overview.Node.Address, overview.Current)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "UNIT\tSTATE\tIMAGE")
	for _, unit := range overview.Units {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", unit.Name, unit.State, unit.Image)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return showConditions(out, overview.Agent)
}

func showVerify(cmd *cobra.Command, n *debug.Node, format string) error {
	findings, err := n.Verify(cmd.Context())
	if err != nil {
		return err
	}
	bad := 0
	for _, finding := range findings {
		if !finding.OK {
			bad++
		}
		if format == "text" && !finding.OK {
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "DIFFERS  %s\n  expected %s\n  found    %s\n", finding.What, finding.Expected, finding.Found)
		}
	}
	if format == "json" {
		if err := printJSON(cmd.OutOrStdout(), findings); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "plan and lock signatures hold; %d of %d files and processes match the signed lock\n", len(findings)-bad, len(findings))
	}
	if bad > 0 {
		return errors.New("not everything is what the signed lock says")
	}
	return nil
}

func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
