package graph

import (
	"fmt"
	"io"
	"strings"
)

// Node is one node of a drawing. Nodes with Children are drawn as a box around them.
type Node struct {
	ID       string   `json:"id"` // unique in the drawing
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Status   string   `json:"status"`             // such as CREATE_COMPLETE
	Physical string   `json:"physical,omitempty"` // id in the cloud
	Needs    []string `json:"needs,omitempty"`    // ids
	Children []Node   `json:"children,omitempty"`
}

// WriteDOT draws the nodes in the language of Graphviz.
func WriteDOT(w io.Writer, title string, nodes []Node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR; compound=true; node [shape=box, style=filled, fontname=sans];\n", title)
	anchors := map[string]string{}
	anchor(nodes, anchors)
	draw(&b, nodes, "  ")
	edges(&b, nodes, anchors)
	b.WriteString("}\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write graph: %w", err)
	}
	return nil
}

// anchor finds for every box a node inside it that edges can point to.
func anchor(nodes []Node, anchors map[string]string) {
	for _, n := range nodes {
		anchor(n.Children, anchors)
		a := n.ID
		if len(n.Children) > 0 {
			a = anchors[n.Children[0].ID]
		}
		anchors[n.ID] = a
	}
}

func draw(b *strings.Builder, nodes []Node, indent string) {
	for _, n := range nodes {
		if len(n.Children) == 0 {
			fmt.Fprintf(b, "%s%q [label=%q, fillcolor=%q];\n", indent, n.ID, n.Name+"\n"+n.Type, colour(n.Status))
			continue
		}
		fmt.Fprintf(b, "%ssubgraph %q {\n%s  label=%q; color=gray;\n", indent, "cluster_"+n.ID, indent, n.Name)
		draw(b, n.Children, indent+"  ")
		fmt.Fprintf(b, "%s}\n", indent)
	}
}

func edges(b *strings.Builder, nodes []Node, anchors map[string]string) {
	for _, n := range nodes {
		for _, need := range n.Needs {
			from, ok := anchors[need]
			if !ok {
				continue
			}
			var attrs []string
			if from != need {
				attrs = append(attrs, fmt.Sprintf("ltail=%q", "cluster_"+need))
			}
			if anchors[n.ID] != n.ID {
				attrs = append(attrs, fmt.Sprintf("lhead=%q", "cluster_"+n.ID))
			}
			fmt.Fprintf(b, "  %q -> %q", from, anchors[n.ID])
			if len(attrs) > 0 {
				fmt.Fprintf(b, " [%s]", strings.Join(attrs, ", "))
			}
			b.WriteString(";\n")
		}
		edges(b, n.Children, anchors)
	}
}

func colour(status string) string {
	switch {
	case strings.HasSuffix(status, "_FAILED"):
		return "lightcoral"
	case strings.HasPrefix(status, "INIT"):
		return "white"
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		return "khaki"
	case status == "DELETE_COMPLETE":
		return "lightgray"
	}
	return "palegreen"
}
