package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

func (a *app) nodeCommand() *cobra.Command {
	return group("node", "Look at nodes, and do single things on them",
		a.nodeList(), a.nodeShow(), a.nodeAction(), a.nodeBundle(), a.nodeLogs())
}

// completeNodes offers the names of the existing nodes to the shell, at one place of the arguments.
func (a *app) completeNodes(place int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		client, err := apiclient.New(a.endpoint)
		if err != nil || len(args) != place {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		nodes, err := allNodes(cmd.Context(), client, nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, n := range nodes {
			names = append(names, n.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// allNodes lists the nodes of the clusters named, of all clusters when none is.
func allNodes(ctx context.Context, client *apiclient.Client, clusters []string) ([]apiclient.Node, error) {
	if len(clusters) == 0 {
		known, err := client.Clusters(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range known {
			clusters = append(clusters, c.UUID)
		}
	}
	var all []apiclient.Node
	for _, cluster := range clusters {
		nodes, err := client.Nodes(ctx, cluster)
		if err != nil {
			return nil, err
		}
		all = append(all, nodes...)
	}
	return all, nil
}

func (a *app) nodeList() *cobra.Command {
	return &cobra.Command{
		Use: "list [CLUSTER]", Short: "List the nodes of a cluster, or of all", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			nodes, err := allNodes(cmd.Context(), client, args)
			if err != nil {
				return err
			}
			if a.json() {
				raw := []json.RawMessage{}
				for _, n := range nodes {
					raw = append(raw, n.Raw)
				}
				return a.printJSON(raw)
			}
			now := a.Now()
			var rows [][]string
			for _, n := range nodes {
				rows = append(rows, []string{n.Name, n.ClusterName, n.Role, n.Address, generation(n), phase(n), since(now, n.LastSeen), troubles(n)})
			}
			table(a.Out, []string{"NAME", "CLUSTER", "ROLE", "ADDRESS", "GENERATION", "PHASE", "LAST SEEN", "CONDITIONS"}, rows)
			return nil
		},
	}
}

func generation(n apiclient.Node) string {
	if n.Generation == 0 {
		return "-"
	}
	return fmt.Sprint(n.Generation)
}

// phase is how far the node is, in a few words.
func phase(n apiclient.Node) string {
	switch {
	case n.Phase == "":
		return n.State
	case n.Progress != nil && n.Progress.Waiting != "":
		return n.Phase + ", waiting for " + oneLine(n.Progress.Waiting)
	}
	return n.Phase
}

func since(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return ago(now.Sub(*t)) + " ago"
}

// troubles names the conditions that are not as they should.
func troubles(n apiclient.Node) string {
	var bad []string
	for _, c := range n.Conditions {
		switch c.Status {
		case "True":
			bad = append(bad, c.Type)
		case "Unknown":
			bad = append(bad, c.Type+"?")
		}
	}
	switch {
	case len(bad) > 0:
		return strings.Join(bad, ",")
	case len(n.Conditions) == 0:
		return "-"
	}
	return "good"
}

func (a *app) nodeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NODE", Short: "Show one node, by name or UUID", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNodes(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			n, err := client.Node(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(n.Raw)
			}
			showNode(a.Out, a.Now(), n)
			return nil
		},
	}
}

func showNode(w io.Writer, now time.Time, n *apiclient.Node) {
	rows := [][]string{
		{"name", n.Name}, {"id", n.ID}, {"cluster", fmt.Sprintf("%s (%s)", n.ClusterName, n.ClusterID)}, {"role", n.Role},
		{"address", n.Address}, {"pods", n.PodCIDR}, {"state", n.State}, {"last seen", since(now, n.LastSeen)},
		{"generation", generation(*n)}, {"phase", phase(*n)},
	}
	for _, row := range [][]string{{"reason", oneLine(n.Reason)}, {"plan", n.PlanDigest}, {"lock", n.Lock}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	if n.Certificate != nil && n.Certificate.NotAfter != nil {
		rows = append(rows, []string{"certificate", fmt.Sprintf("%s, until %s", n.Certificate.Serial, n.Certificate.NotAfter.UTC().Format(time.RFC3339))})
	}
	table(w, []string{"FIELD", "VALUE"}, rows)
	section := func(title string, heading []string, rows [][]string) {
		if len(rows) > 0 {
			fmt.Fprintf(w, "\n%s\n", title)
			table(w, heading, rows)
		}
	}
	rows = nil
	for _, c := range n.Conditions {
		rows = append(rows, []string{c.Type, c.Status, since(now, c.Since), c.Reason, oneLine(c.Message)})
	}
	section("Conditions (True means trouble)", []string{"TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"}, rows)
	rows = nil
	for _, image := range n.Images {
		rows = append(rows, []string{image.Name, image.Repository + "@" + image.Digest})
	}
	section("Images", []string{"NAME", "REFERENCE"}, rows)
	rows = nil
	for _, s := range slices.Backward(n.Signals) {
		rows = append(rows, []string{s.Time.UTC().Format(time.RFC3339), signalAbout(s), oneLine(s.Reason)})
	}
	section("Last signals", []string{"TIME", "SIGNAL", "REASON"}, rows)
	rows = nil
	for _, x := range slices.Backward(n.Actions) {
		rows = append(rows, []string{since(now, x.RequestedAt), x.What, x.State, x.Actor, oneLine(x.Reason)})
	}
	section("Last actions", []string{"REQUESTED", "ACTION", "STATE", "ACTOR", "REASON"}, rows)
}

func signalAbout(s apiclient.Signal) string {
	if s.Action != nil {
		return "action " + s.Action.Status
	}
	return s.Phase
}
