package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/localcloud"
)

func (a *app) localCommand() *cobra.Command {
	one := func(use, short string, do func(*localcloud.Cloud, context.Context, string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " SERVER", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeServers,
			RunE: func(cmd *cobra.Command, args []string) error {
				cloud, err := a.localCloud()
				if err != nil {
					return err
				}
				return do(cloud, cmd.Context(), args[0])
			},
		}
	}
	servers := &cobra.Command{
		Use: "servers", Short: "List the servers on this machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.localCloud()
			if err != nil {
				return err
			}
			servers, err := cloud.Servers(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(servers)
			}
			a.serverTable(servers)
			return nil
		},
	}
	return group("local", "Act on the local cloud's servers behind the API's back, as a power failure would",
		servers,
		one("start", "Switch a server on", (*localcloud.Cloud).Start),
		one("stop", "Switch a server off in an orderly way", (*localcloud.Cloud).Stop),
		one("kill", "Cut a server's power", (*localcloud.Cloud).Kill))
}

func (a *app) localCloud() (*localcloud.Cloud, error) {
	state, err := a.statePath()
	if err != nil {
		return nil, err
	}
	return localcloud.New(state), nil
}

func (a *app) completeServers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cloud, err := a.localCloud()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	servers, err := cloud.Servers(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) serverTable(servers []localcloud.Server) {
	var rows [][]string
	for _, s := range servers {
		pid := ""
		if s.PID != 0 {
			pid = fmt.Sprint(s.PID)
		}
		rows = append(rows, []string{s.Name, s.State, s.Address, pid, s.ID})
	}
	table(a.Out, []string{"SERVER", "STATE", "ADDRESS", "PID", "ID"}, rows)
}
