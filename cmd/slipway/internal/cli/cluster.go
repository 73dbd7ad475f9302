package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/kubeconfig"
)

func (a *app) clusterCommand() *cobra.Command {
	return group("cluster", "Create, watch, use and delete clusters",
		a.clusterCreate(), a.clusterList(), a.clusterShow(), a.clusterEvents(), a.clusterGraph(), a.clusterPhases(), a.clusterKubeconfig(), a.clusterDelete())
}

// completeClusters offers the names of the existing clusters to the shell.
func (a *app) completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := apiclient.New(a.endpoint)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	clusters, err := client.Clusters(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) clusterCreate() *cobra.Command {
	var file string
	var wait bool
	cmd := &cobra.Command{
		Use:   "create -f FILE",
		Short: "Create a cluster from a Magnum create request in JSON",
		Long:  "Create a cluster from a Magnum create request in JSON (\"-\" reads standard input).\nThe request is sent as it is; slipwayd validates it.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("name the request with -f FILE")
			}
			body, err := a.readFile(file)
			if err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			uuid, err := client.CreateCluster(cmd.Context(), body)
			if err != nil {
				return fmt.Errorf("create the cluster of %s: %w", file, err)
			}
			if !wait {
				if a.json() {
					return a.printJSON(map[string]string{"uuid": uuid})
				}
				fmt.Fprintf(a.Out, "Request to create cluster %s accepted.\n", uuid)
				return nil
			}
			return a.waitCreated(cmd.Context(), client, uuid)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the request, such as examples/cluster-create.json")
	cmd.Flags().BoolVar(&wait, "wait", false, "show progress until the cluster is complete or has failed")
	return cmd
}

// readFile returns the bytes of the named file, or of standard input for "-".
func (a *app) readFile(name string) (json.RawMessage, error) {
	if name == "-" {
		b, err := io.ReadAll(a.In)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{err}
	}
	return b, nil
}

func (a *app) clusterList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the clusters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			clusters, err := client.Clusters(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				raw := []json.RawMessage{}
				for _, c := range clusters {
					raw = append(raw, c.Raw)
				}
				return a.printJSON(raw)
			}
			var rows [][]string
			for _, c := range clusters {
				rows = append(rows, []string{c.UUID, c.Name, fmt.Sprint(c.MasterCount), fmt.Sprint(c.NodeCount), c.Status, c.HealthStatus})
			}
			table(a.Out, []string{"UUID", "NAME", "MASTERS", "NODES", "STATUS", "HEALTH"}, rows)
			return nil
		},
	}
}

func (a *app) clusterShow() *cobra.Command {
	return &cobra.Command{
		Use: "show CLUSTER", Short: "Show one cluster, by name or UUID", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			c, err := client.Cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(c.Raw)
			}
			return printFields(a.Out, c.Raw)
		},
	}
}

// printFields writes an object's fields sorted by name, one a line, leaving out the links.
func printFields(w io.Writer, raw json.RawMessage) error {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("show the answer: %w", err)
	}
	var rows [][]string
	for name, value := range fields {
		if name == "links" {
			continue
		}
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("show %s: %w", name, err)
			}
			text = string(b)
		}
		rows = append(rows, []string{name, strings.ReplaceAll(text, "\n", "\n\t")})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i][0] < rows[j][0] })
	table(w, []string{"FIELD", "VALUE"}, rows)
	return nil
}

func (a *app) clusterKubeconfig() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "kubeconfig CLUSTER", Short: "Print an administrator's kubeconfig with a new key",
		Long: "Make a key on this machine, have the cluster's CA certify it (CN admin, O system:masters)\nand print a kubeconfig that holds both.",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			if kind != string(kubeconfig.P256) && kind != string(kubeconfig.RSA) {
				return usagef("--key %q: want %s or %s", kind, kubeconfig.P256, kubeconfig.RSA)
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			c, err := client.Cluster(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out, err := kubeconfig.New(cmd.Context(), client, c, kubeconfig.KeyKind(kind))
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]string{"cluster": c.UUID, "kubeconfig": string(out)})
			}
			_, err = a.Out.Write(out)
			return err
		},
	}
	cmd.Flags().StringVar(&kind, "key", string(kubeconfig.P256), "kind of key: p256 or rsa")
	return cmd
}

func (a *app) clusterDelete() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "delete CLUSTER...", Short: "Delete clusters; one that is gone already is no error", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			var problems []error
			var accepted []string
			for _, name := range args {
				uuid, err := requestDelete(cmd.Context(), client, name)
				switch {
				case apiclient.IsNotFound(err):
					if !a.json() {
						fmt.Fprintf(a.Out, "Cluster %s does not exist.\n", name)
					}
				case err != nil:
					problems = append(problems, fmt.Errorf("delete %s: %w", name, err))
				default:
					accepted = append(accepted, uuid)
					if a.json() {
						err = a.printLine(map[string]string{"name": name, "uuid": uuid, "status": "DELETE_IN_PROGRESS"})
					} else {
						_, err = fmt.Fprintf(a.Out, "Request to delete cluster %s accepted.\n", name)
					}
					problems = append(problems, err)
				}
			}
			if wait {
				problems = append(problems, a.waitDeleted(cmd.Context(), client, accepted))
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "return when the clusters are gone")
	return cmd
}

// requestDelete asks for the deletion and returns the cluster's UUID, so that waiting is not
// misled by a later cluster of the same name.
func requestDelete(ctx context.Context, client *apiclient.Client, name string) (string, error) {
	c, err := client.Cluster(ctx, name)
	if err != nil {
		return "", err
	}
	return c.UUID, client.DeleteCluster(ctx, c.UUID)
}
