package cli

import (
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/watch"
)

func (a *app) clusterGraph() *cobra.Command {
	var dot bool
	cmd := &cobra.Command{
		Use: "graph CLUSTER", Short: "Show the resources of a cluster and what each waits for",
		Long: "Show the resources of a cluster's stacks and what each waits for; --dot writes the graph\nfor Graphviz (slipway cluster graph k8s --dot | dot -Tsvg > k8s.svg).",
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
			stack, err := stackOf(cmd.Context(), client, cluster)
			if err != nil {
				return err
			}
			resources, err := client.Resources(cmd.Context(), stack, watch.Depth)
			if err != nil {
				return err
			}
			switch {
			case a.json():
				return a.printJSON(resources)
			case dot:
				_, err := fmt.Fprint(a.Out, dotGraph(cluster.Name, resources))
				return err
			}
			var rows [][]string
			for _, one := range sortedByStack(resources) {
				rows = append(rows, []string{place(one), one.Type, title(one.Status), strings.Join(waitsFor(one, resources), " ")})
			}
			table(a.Out, []string{"RESOURCE", "TYPE", "STATUS", "AFTER"}, rows)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dot, "dot", false, "write the graph in Graphviz's language")
	return cmd
}

// stackKey tells the stacks apart that resources are in.
func stackKey(r apiclient.Resource) string {
	if id := r.StackID(); id != "" {
		return id
	}
	return r.StackName
}

// place is the resource's name with the name of the resource that its stack stands for.
func place(r apiclient.Resource) string {
	if r.Parent == "" {
		return r.Name
	}
	return r.Parent + "/" + r.Name
}

func sortedByStack(all []apiclient.Resource) []apiclient.Resource {
	out := append([]apiclient.Resource(nil), all...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if (a.Parent == "") != (b.Parent == "") {
			return a.Parent == ""
		}
		if stackKey(a) != stackKey(b) {
			return stackKey(a) < stackKey(b)
		}
		return a.Name < b.Name
	})
	return out
}

// waitsFor lists the resources of the same stack that r needs, from their required_by.
func waitsFor(r apiclient.Resource, all []apiclient.Resource) []string {
	var names []string
	for _, other := range all {
		if stackKey(other) != stackKey(r) {
			continue
		}
		for _, by := range other.RequiredBy {
			if by == r.Name {
				names = append(names, other.Name)
			}
		}
	}
	sort.Strings(names)
	return names
}

// dotGraph writes the graph in Graphviz's language: one cluster of nodes per stack.
func dotGraph(name string, all []apiclient.Resource) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box, style=filled];\n", name)
	sorted := sortedByStack(all)
	id := func(r apiclient.Resource) string { return stackKey(r) + "/" + r.Name }
	for i, r := range sorted {
		if i == 0 || stackKey(sorted[i-1]) != stackKey(r) {
			if i > 0 {
				b.WriteString("  }\n")
			}
			label := r.Parent
			if label == "" {
				label = name
			}
			fmt.Fprintf(&b, "  subgraph %q {\n    label=%q;\n", "cluster_"+stackKey(r), label)
		}
		fmt.Fprintf(&b, "    %q [label=%q, fillcolor=%q];\n", id(r), r.Name+"\n"+r.Type, colour(r.Status))
	}
	if len(sorted) > 0 {
		b.WriteString("  }\n")
	}
	for _, r := range sorted {
		by := append([]string(nil), r.RequiredBy...)
		sort.Strings(by)
		for _, other := range by {
			fmt.Fprintf(&b, "  %q -> %q;\n", id(r), stackKey(r)+"/"+other)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func colour(status string) string {
	switch {
	case strings.HasSuffix(status, "_FAILED"):
		return "#f4b6b6"
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		return "#f7e3a1"
	case strings.HasSuffix(status, "_COMPLETE") && status != "INIT_COMPLETE":
		return "#bfe3bf"
	default:
		return "#e6e6e6"
	}
}

// oneLine joins the lines of a text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
