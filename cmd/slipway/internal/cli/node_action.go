package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/progress"
)

const actionHelp = `Ask a node to do one thing of a closed list. The request is signed, expires, and is done at
most once; who asked is in the cluster's history.

  restart NODE UNIT           restart one unit of its plan, such as kube-scheduler
  check NODE [CHECK...]       run checks: %s (all when none is named)
  logs NODE UNIT              tell the last lines of a unit's log (-n)
  pull NODE [IMAGE...]        fetch and verify images ahead; those of its plan when none is named
  renew NODE [CERTIFICATE...] renew certificates of its plan; all when none is named
  bundle NODE                 collect the support archive (see also: slipway node bundle)
  reboot NODE                 restart the machine

With --wait the exit code is 1 when the action fails, is refused or expires, or when a check
finds trouble.`

func (a *app) nodeAction() *cobra.Command {
	var wait bool
	var expires time.Duration
	var lines int
	var checks []string
	for _, name := range action.Checks() {
		checks = append(checks, string(name))
	}
	var kinds []string
	for _, kind := range action.Kinds() {
		kinds = append(kinds, string(kind))
	}
	cmd := &cobra.Command{
		Use: "action KIND NODE [ARGUMENT...]", Short: "Ask a node to restart a unit, run checks, reboot, …",
		Long: fmt.Sprintf(actionHelp, strings.Join(checks, ", ")),
		Args: cobra.MinimumNArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return kinds, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeNodes(1)(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := orderOf(args[0], args[2:], lines, checks)
			if err != nil {
				return err
			}
			if expires != 0 {
				order.ExpiresIn = expires.String()
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			made, err := client.RequestAction(cmd.Context(), args[1], order)
			if err != nil {
				return fmt.Errorf("%s on node %s: %w", args[0], args[1], err)
			}
			if !wait {
				if a.json() {
					return a.printJSON(made.Raw)
				}
				fmt.Fprintf(a.Out, "Action %s accepted: %s on %s, by %s, to be begun before %s.\n", made.ID, made.What, made.NodeName, made.Actor, made.ExpiresAt.UTC().Format(time.RFC3339))
				return nil
			}
			ended, err := a.waitAction(cmd.Context(), client, made)
			if err != nil {
				return err
			}
			return a.tellAction(ended)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "show progress until the action has ended")
	cmd.Flags().DurationVar(&expires, "expires", 0, "the node must begin within this time (10m)")
	cmd.Flags().IntVarP(&lines, "lines", "n", 0, "lines of logs (100)")
	return cmd
}

// orderOf makes an order of a kind and the arguments after the node's name.
func orderOf(kind string, args []string, lines int, checks []string) (apiclient.ActionOrder, error) {
	order := apiclient.ActionOrder{Kind: kind, Lines: lines}
	if lines != 0 && kind != string(action.Logs) {
		return order, usagef("--lines is for logs only")
	}
	switch action.Kind(kind) {
	case action.Restart, action.Logs:
		if len(args) != 1 {
			return order, usagef("%s takes one unit", kind)
		}
		order.Unit = unitName(args[0])
	case action.Check:
		if order.Checks = args; len(args) == 0 {
			order.Checks = checks
		}
	case action.Pull:
		order.Images = args
	case action.Renew:
		order.Certificates = args
	case action.Bundle, action.Reboot:
		if len(args) > 0 {
			return order, usagef("%s takes no argument beside the node", kind)
		}
	default:
		return order, usagef("there is no action %q; the kinds are %v", kind, action.Kinds())
	}
	return order, nil
}

// unitName completes the short name of a unit: kube-scheduler is slipway-kube-scheduler.service.
func unitName(short string) string {
	name := short
	if !strings.HasPrefix(name, "slipway-") {
		name = "slipway-" + name
	}
	suffixes := []string{".service", ".socket", ".target", ".timer", ".mount", ".slice", ".path"}
	if !slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
		name += ".service"
	}
	return name
}

// waitAction shows an action until it has ended.
func (a *app) waitAction(ctx context.Context, client *apiclient.Client, made *apiclient.Action) (*apiclient.Action, error) {
	report := a.reporter()
	defer report.Close()
	label := made.What + " on " + made.NodeName
	return client.FollowAction(ctx, made.NodeID, made.ID, func(now *apiclient.Action) {
		update := progress.Update{Task: now.ID, Label: label, State: progress.Running, Detail: now.State}
		if p := now.Progress; p != nil && p.BytesTotal > 0 {
			update.Done, update.Total, update.Unit = p.BytesDone, p.BytesTotal, progress.Bytes
		}
		switch {
		case now.State == "done":
			update.State = progress.Done
		case now.Ended:
			update.State, update.Detail = progress.Failed, now.State
			if now.Reason != "" {
				update.Detail += ": " + oneLine(now.Reason)
			}
		}
		report.Report(update)
	})
}

// errTrouble is returned when an action was done and found something.
var errTrouble = errors.New("the checks found trouble")

// tellAction prints what an action did or found; the error says that this was no success.
func (a *app) tellAction(x *apiclient.Action) error {
	if a.json() {
		if err := a.printLine(map[string]any{"action": x.Raw}); err != nil {
			return err
		}
	} else {
		var rows [][]string
		for _, r := range x.Results {
			rows = append(rows, []string{r.Name, r.Status, oneLine(r.Message)})
		}
		if len(rows) > 0 {
			table(a.Out, []string{"WHAT", "RESULT", "MESSAGE"}, rows)
		}
		for _, text := range []string{x.Output, x.Log} {
			if text != "" {
				fmt.Fprint(a.Out, strings.TrimSuffix(text, "\n")+"\n")
			}
		}
	}
	return verdict(x)
}

// verdict is nil for an action that was done and found no trouble.
func verdict(x *apiclient.Action) error {
	if x.State != "done" {
		reason := x.Reason
		if reason == "" {
			reason = "the node gave no reason"
		}
		words := map[string]string{"refused": "was refused", "expired": "expired", "failed": "failed"}
		return fmt.Errorf("%s on %s %s: %s", x.What, x.NodeName, words[x.State], reason)
	}
	for _, r := range x.Results {
		if r.Status == "trouble" {
			return errTrouble
		}
	}
	return nil
}
