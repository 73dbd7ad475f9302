package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

func (a *app) clusterEvents() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "events CLUSTER", Short: "Show what happened to every resource of a cluster, newest first",
		Long: "Show what happened to every resource of a cluster and who caused it, newest first;\nwith --follow oldest first, and new events as they come until the operation has ended.",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			cluster, err := client.Cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if follow {
				return follows(cmd.Context(), client, cluster, a.printEvent)
			}
			stack, err := stackOf(cmd.Context(), client, cluster)
			if err != nil {
				return err
			}
			events, err := client.Events(cmd.Context(), stack, "", 0)
			if err != nil {
				return err
			}
			slices.Reverse(events)
			if a.json() {
				if events == nil {
					events = []apiclient.Event{}
				}
				return a.printJSON(events)
			}
			now := a.Now()
			var rows [][]string
			for _, e := range events {
				rows = append(rows, []string{e.Resource, e.Physical, ago(now.Sub(e.Time)), title(e.Status), oneLine(e.StatusReason), e.Actor})
			}
			table(a.Out, []string{"STACK RESOURCE", "RESOURCE", "TIME SINCE EVENT", "STATUS", "STATUS REASON", "ACTOR"}, rows)
			return nil
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until the cluster's operation has ended")
	return cmd
}

// stackOf finds the stack of a cluster; a cluster whose operation is still queued has none.
func stackOf(ctx context.Context, client *apiclient.Client, cluster *apiclient.Cluster) (apiclient.StackRef, error) {
	if cluster.StackID == "" {
		return apiclient.StackRef{}, fmt.Errorf("cluster %s has no stack yet; its status is %s", cluster.Name, cluster.Status)
	}
	return client.Stack(ctx, cluster.ProjectID, cluster.StackID)
}

// patience is how long one call waits for the next event.
const patience = 10 * time.Second

// follows hands events on as they come, until the cluster's operation has ended or the cluster
// is gone.
func follows(ctx context.Context, client *apiclient.Client, cluster *apiclient.Cluster, each func(apiclient.Event) error) error {
	var stack apiclient.StackRef
	var marker string
	for {
		// The state is read before the events: when it says "ended", all events are there.
		now, err := client.Cluster(ctx, cluster.UUID)
		if apiclient.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if stack.ID == "" && now.StackID != "" {
			if stack, err = client.Stack(ctx, now.ProjectID, now.StackID); err != nil && !apiclient.IsNotFound(err) {
				return err
			}
		}
		if stack.ID == "" {
			if !now.InProgress() {
				return nil
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil { // the conductor is about to take it
				return err
			}
			continue
		}
		wait := patience
		if !now.InProgress() {
			wait = 0
		}
		events, err := client.Events(ctx, stack, marker, wait)
		if apiclient.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			marker = e.ID
			if err := each(e); err != nil {
				return err
			}
		}
		if !now.InProgress() && len(events) == 0 {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (a *app) printEvent(e apiclient.Event) error {
	if a.json() {
		return a.printLine(e)
	}
	_, err := fmt.Fprintf(a.Out, "%s  %-28s %-20s %-36s %s  [%s]\n", e.Time.UTC().Format("15:04:05.000"), e.Resource, title(e.Status), e.Physical, oneLine(e.StatusReason), e.Actor)
	return err
}
