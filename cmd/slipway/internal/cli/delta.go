package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/nodeplan"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/release"
)

// fetched is what a node between two locks fetches, for the budget of a pipeline.
type fetched struct {
	Nodes []release.NodeDelta `json:"nodes"`
	OS    *osimage.Delta      `json:"os,omitempty"`
	Bytes int64               `json:"bytes"` // of the role that fetches most, with its OS
	Max   int64               `json:"max,omitempty"`
}

func (a *app) imagesDelta(source *string) *cobra.Command {
	var way nodeplan.Way
	var node osimage.DeltaOptions
	var budget int64
	cmd := &cobra.Command{
		Use: "delta FROM [TO]", Short: "Say how many bytes a node on lock FROM fetches to reach TO, and fail above a budget",
		Long: `Say how many bytes a master and a worker on lock FROM fetch to reach lock TO (the clone's when none is named), by image and in
sum, by what the agent can reuse: manifests, unpacked layers by diff ID, files by sha256, blobs kept for pods. ` + "`slipway images lock diff`" + `
tells what else changes. With --os-from and --os-to the bytes of the node OS come on top, by the layers that the node has.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (node.From == "") != (node.To == "") {
				return usagef("--os-from and --os-to belong together")
			}
			from, err := valid(*source, args[0])
			if err != nil {
				return err
			}
			to, err := valid(*source, argument(args, 1))
			if err != nil {
				return err
			}
			way.From, way.To = from.Lock, to.Lock
			out := fetched{Max: budget}
			if out.Nodes, err = nodeplan.Deltas(way); err != nil {
				return err
			}
			for _, n := range out.Nodes {
				out.Bytes = max(out.Bytes, n.Fetch.Bytes)
			}
			if node.From != "" {
				node.Platform = way.Platform
				if out.OS, err = osimage.DeltaOf(cmd.Context(), node); err != nil {
					return err
				}
				out.Bytes += out.OS.Bytes
			}
			return a.printDelta(out)
		},
	}
	cmd.Flags().Int64Var(&budget, "max", 0, "exit with 1 when a node fetches more bytes than this; 0 sets no bound")
	cmd.Flags().StringVar(&way.FromVersion, "from-kubernetes", "", "Kubernetes version of the cluster under FROM (default: its newest)")
	cmd.Flags().StringVar(&way.ToVersion, "to-kubernetes", "", "Kubernetes version of the cluster under TO (default: its newest)")
	cmd.Flags().StringVar(&way.Platform, "platform", "linux/amd64", "platform of the nodes")
	cmd.Flags().StringVar(&node.From, "os-from", "", "OS image of the node under FROM: a layout, an archive or a reference")
	cmd.Flags().StringVar(&node.To, "os-to", "", "OS image of the node under TO")
	return cmd
}

func (a *app) printDelta(d fetched) error {
	if a.json() {
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		var rows [][]string
		for _, n := range d.Nodes {
			for _, i := range n.Fetch.Images {
				rows = append(rows, []string{n.Role, i.Image, fmt.Sprintf("%d", i.Bytes), fmt.Sprintf("%d", i.Present)})
			}
			rows = append(rows, []string{n.Role, "all", fmt.Sprintf("%d", n.Fetch.Bytes), fmt.Sprintf("%d", n.Fetch.Present)})
		}
		if d.OS != nil {
			rows = append(rows, []string{"each", "node OS", fmt.Sprintf("%d", d.OS.Bytes), fmt.Sprintf("%d", d.OS.Present)})
		}
		table(a.Out, []string{"NODE", "IMAGE", "BYTES FETCHED", "BYTES REUSED"}, rows)
	}
	if d.Max > 0 && d.Bytes > d.Max {
		return fmt.Errorf("a node fetches %d bytes, %d more than the budget of %d", d.Bytes, d.Bytes-d.Max, d.Max)
	}
	return nil
}
