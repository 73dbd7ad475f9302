package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"slipway.build/slipway/agent/status"
)

// showConditions prints what the running agent watches beside the units.
func showConditions(out io.Writer, agent *status.Status) error {
	if agent == nil || len(agent.Conditions) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nCONDITION\tSTATUS\tREASON\tSINCE\tMESSAGE")
	for _, c := range agent.Conditions {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Type, c.Status, c.Reason, c.Since.Format("01-02 15:04:05"), c.Message)
	}
	return table.Flush()
}
