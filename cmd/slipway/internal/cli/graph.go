package cli

import (
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
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
			graph, err := client.Graph(cmd.Context(), stack)
			if err != nil {
				return err
			}
			switch {
			case a.json():
				return a.printJSON(graph.Raw)
			case dot:
				_, err := fmt.Fprint(a.Out, dotGraph(cluster.Name, graph))
				return err
			}
			names, after := namesOf(graph), needsOf(graph)
			var rows [][]string
			for _, r := range byStack(graph) {
				rows = append(rows, []string{names[r.ID], r.Type, title(r.Status), strings.Join(after[r.ID], " ")})
			}
			table(a.Out, []string{"RESOURCE", "TYPE", "STATUS", "AFTER"}, rows)
			return nil
		},
	}
	cmd.Flags().BoolVar(&dot, "dot", false, "write the graph in Graphviz's language")
	return cmd
}

// namesOf names each resource by the resources that its stacks stand for, such as
// "kube_masters/0/kube-master".
func namesOf(g *apiclient.Graph) map[string]string {
	byID := map[string]apiclient.Resource{}
	for _, r := range g.Nodes {
		byID[r.ID] = r
	}
	names := map[string]string{}
	for _, r := range g.Nodes {
		name := r.Name
		for up, ok := byID[r.Parent]; ok; up, ok = byID[up.Parent] {
			name = up.Name + "/" + name
		}
		names[r.ID] = name
	}
	return names
}

// needsOf lists for each resource the names of those in the same stack that it needs.
func needsOf(g *apiclient.Graph) map[string][]string {
	name := map[string]string{}
	for _, r := range g.Nodes {
		name[r.ID] = r.Name
	}
	needs := map[string][]string{}
	for _, e := range g.Edges {
		needs[e.To] = append(needs[e.To], name[e.From])
	}
	for _, list := range needs {
		sort.Strings(list)
	}
	return needs
}

// byStack sorts the resources by their full names, the outermost stack's first.
func byStack(g *apiclient.Graph) []apiclient.Resource {
	names := namesOf(g)
	out := append([]apiclient.Resource(nil), g.Nodes...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if (a.Parent == "") != (b.Parent == "") {
			return a.Parent == ""
		}
		return names[a.ID] < names[b.ID]
	})
	return out
}

// dotGraph writes the graph in Graphviz's language: a box of boxes for every stack.
func dotGraph(name string, g *apiclient.Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box, style=filled];\n", name)
	inside := map[string][]apiclient.Resource{} // by the resource that the stack stands for
	for _, r := range byStack(g) {
		inside[r.Parent] = append(inside[r.Parent], r)
	}
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, r := range inside[parent] {
			fmt.Fprintf(&b, "%s%q [label=%q, fillcolor=%q];\n", indent, r.ID, r.Name+"\n"+r.Type, colour(r.Status))
			if len(inside[r.ID]) > 0 {
				fmt.Fprintf(&b, "%ssubgraph %q {\n%s  label=%q;\n", indent, "cluster_"+r.ID, indent, r.Name)
				draw(r.ID, indent+"  ")
				fmt.Fprintf(&b, "%s}\n", indent)
			}
		}
	}
	draw("", "  ")
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %q -> %q;\n", e.From, e.To)
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
