package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) templateCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the cluster templates", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			templates, err := client.Templates(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				raw := []json.RawMessage{}
				for _, t := range templates {
					raw = append(raw, t.Raw)
				}
				return a.printJSON(raw)
			}
			var rows [][]string
			for _, t := range templates {
				rows = append(rows, []string{t.UUID, t.Name, t.COE, t.Image, fmt.Sprint(t.Public)})
			}
			table(a.Out, []string{"UUID", "NAME", "COE", "IMAGE", "PUBLIC"}, rows)
			return nil
		},
	}
	show := &cobra.Command{
		Use: "show TEMPLATE", Short: "Show one cluster template, by name or UUID", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			t, err := client.Template(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(t.Raw)
			}
			return printFields(a.Out, t.Raw)
		},
	}
	return group("template", "Look at cluster templates", list, show)
}
