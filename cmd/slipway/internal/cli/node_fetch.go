package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

// order asks for an action and waits until it has ended.
func (a *app) order(ctx context.Context, node string, order apiclient.ActionOrder) (*apiclient.Client, *apiclient.Action, error) {
	client, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	made, err := client.RequestAction(ctx, node, order)
	if err != nil {
		return nil, nil, fmt.Errorf("%s on node %s: %w", order.Kind, node, err)
	}
	ended, err := a.waitAction(ctx, client, made)
	if err != nil {
		return nil, nil, err
	}
	return client, ended, nil
}

func (a *app) nodeLogs() *cobra.Command {
	var lines int
	cmd := &cobra.Command{
		Use: "logs NODE UNIT", Short: "Print the last lines of a unit's log, without secrets",
		Long: "Print the last lines of the log of one unit of the node's plan, such as kubelet, or of \"agent\" itself.\nSecrets are taken out on the node; at most 1000 lines and 64 KiB come.",
		Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeNodes(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, x, err := a.order(cmd.Context(), args[0], apiclient.ActionOrder{Kind: string(action.Logs), Unit: unitName(args[1]), Lines: lines})
			if err != nil {
				return err
			}
			if a.json() {
				return a.tellAction(x)
			}
			if _, err := io.WriteString(a.Out, x.Output); err != nil {
				return err
			}
			return verdict(x)
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many lines, at most 1000")
	return cmd
}

func (a *app) nodeBundle() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "bundle NODE", Short: "Fetch the node's support archive into a file",
		Long: "Have the node collect its support archive, which holds no secrets, and fetch it into a file\n(\"-\" writes to standard output). slipwayd keeps the newest eight of each node for seven days.",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNodes(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, x, err := a.order(cmd.Context(), args[0], apiclient.ActionOrder{Kind: string(action.Bundle)})
			if err != nil {
				return err
			}
			if err := verdict(x); err != nil {
				return err
			}
			if x.Archive == nil {
				return fmt.Errorf("action %s is done, but slipwayd has no archive of it", x.ID)
			}
			if file == "-" {
				return client.Archive(cmd.Context(), x.NodeID, x.ID, a.Out)
			}
			if file == "" {
				file = fmt.Sprintf("%s-%s.tar.gz", x.NodeName, x.ID[:8])
			}
			if err := fetchArchive(cmd.Context(), client, x, file); err != nil {
				return err
			}
			if a.json() {
				return a.printLine(map[string]any{"file": file, "size": x.Archive.Size, "sha256": x.Archive.SHA256, "action": x.Raw})
			}
			_, err = fmt.Fprintf(a.Out, "%s: %d bytes, sha256 %s\n", file, x.Archive.Size, x.Archive.SHA256)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "where to write it (NODE-ID.tar.gz)")
	return cmd
}

// fetchArchive writes the archive of an action to a file, whole or not at all.
func fetchArchive(ctx context.Context, client *apiclient.Client, x *apiclient.Action, name string) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	sum := sha256.New()
	err = errors.Join(client.Archive(ctx, x.NodeID, x.ID, io.MultiWriter(temp, sum)), temp.Close())
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, x.Archive.SHA256) {
		return fmt.Errorf("the archive has sha256 %s, slipwayd said %s", got, x.Archive.SHA256)
	}
	return os.Rename(temp.Name(), name)
}
