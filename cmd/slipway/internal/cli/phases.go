package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/timeline"
)

func (a *app) clusterPhases() *cobra.Command {
	var since string
	var follow bool
	cmd := &cobra.Command{
		Use: "phases CLUSTER", Short: "Show when each phase of the creation was reached",
		Long: "Show, from the events, after how many seconds the last node or resource had reached each\nphase of the creation. Time is counted from the first event, or from --since. Events carry\nwhole seconds; with --follow the time is taken when an event arrives, which is finer.",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			var begun time.Time
			if since != "" {
				var err error
				if begun, err = time.Parse(time.RFC3339Nano, since); err != nil {
					return usagef("--since: %w", err)
				}
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			cluster, err := client.Cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var events []apiclient.Event
			if follow {
				err = follows(cmd.Context(), client, cluster, func(e apiclient.Event) error {
					e.Time = a.Now()
					events = append(events, e)
					return nil
				})
				if err != nil {
					return err
				}
				if cluster, err = client.Cluster(cmd.Context(), cluster.UUID); err != nil {
					return err
				}
			}
			stack, err := stackOf(cmd.Context(), client, cluster)
			if err != nil {
				return err
			}
			if !follow {
				if events, err = client.Events(cmd.Context(), stack, "", 0); err != nil {
					return err
				}
			}
			phases := phasesOf(events, begun, stack)
			if a.json() {
				return a.printJSON(phases)
			}
			var rows [][]string
			for _, p := range phases {
				rows = append(rows, []string{p.Name, fmt.Sprintf("%.2f", p.Reached)})
			}
			table(a.Out, []string{"PHASE", "REACHED AFTER SECONDS"}, rows)
			return nil
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "wait until the creation has ended, and take the time as events arrive")
	cmd.Flags().StringVar(&since, "since", "", "when the creation began (RFC 3339)")
	return cmd
}

// phasesOf counts from begun, or from the first event when it is zero.
func phasesOf(events []apiclient.Event, begun time.Time, stack apiclient.StackRef) []timeline.Phase {
	if begun.IsZero() && len(events) > 0 {
		begun = events[0].Time // oldest first
	}
	phases := timeline.Phases(events, begun, stack.Name)
	if phases == nil {
		phases = []timeline.Phase{}
	}
	return phases
}
