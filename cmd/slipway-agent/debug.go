package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/agent/bundle"
	"slipway.build/slipway/agent/debug"
	"slipway.build/slipway/agent/unitlog"
)

// view is one of the subcommands that look at the node and change nothing.
type view struct {
	format *string
	out    io.Writer
}

// run returns a command's action on the node that this program runs on.
func (v *view) run(do func(ctx context.Context, n *debug.Node, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if *v.format != "text" && *v.format != "json" {
			return usageError{fmt.Errorf("-o %s: want text or json", *v.format)}
		}
		n, done := debug.Here(cmd.Context())
		defer done()
		return do(cmd.Context(), n, args)
	}
}

// texter is an answer that can be written for people.
type texter interface{ WriteText(io.Writer) error }

// show writes an answer in the form that was asked for.
func (v *view) show(answer texter) error {
	if *v.format == "json" {
		return printJSON(v.out, answer)
	}
	return answer.WriteText(v.out)
}

// debugCommands are the subcommands that look at the node and change nothing.
func debugCommands(format *string, out io.Writer) []*cobra.Command {
	v := &view{format: format, out: out}
	return []*cobra.Command{
		{Use: "status", Short: "What the agent does, and how the current generation's units are", Args: cobra.NoArgs,
			RunE: v.run(func(ctx context.Context, n *debug.Node, _ []string) error {
				overview, err := n.Overview(ctx)
				if err != nil {
					return err
				}
				return v.show(overview)
			})},
		{Use: "plan", Short: "Print the current generation's plan (JSON)", Args: cobra.NoArgs,
			RunE: v.run(func(_ context.Context, n *debug.Node, _ []string) error {
				p, err := n.Plan()
				if err == nil && p == nil {
					err = debug.ErrNone
				}
				if err != nil {
					return err
				}
				return printJSON(v.out, p)
			})},
		{Use: "diff [GENERATION|FILE]", Short: "Compare the current generation with another, or with a delivery in a file", Args: cobra.MaximumNArgs(1),
			RunE: v.run(func(ctx context.Context, n *debug.Node, args []string) error {
				diff, err := n.Diff(ctx, first(args))
				if err != nil {
					return err
				}
				return v.show(diff)
			})},
		{Use: "verify", Short: "Compare what is on disk and what runs with the signed plan and lock", Args: cobra.NoArgs,
			RunE: v.run(v.verify)},
		{Use: "why [UNIT|IMAGE]", Short: "Tell why a unit, an image or the node is as it is, and what to do", Args: cobra.MaximumNArgs(1),
			RunE: v.run(func(ctx context.Context, n *debug.Node, args []string) error {
				answer := n.Why(ctx, first(args))
				if err := v.show(answer); err != nil {
					return err
				}
				if answer.Kind == debug.KindUnknown {
					return fmt.Errorf("%s is not in this node's plan", answer.Subject)
				}
				return nil
			})},
		{Use: "journal", Short: "Print what the agent remembers: plans, steps, signals that wait", Args: cobra.NoArgs,
			RunE: v.run(func(_ context.Context, n *debug.Node, _ []string) error {
				record, err := n.Journal()
				if err != nil {
					return err
				}
				return v.show(record)
			})},
		v.logs(),
		v.bundle(),
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (v *view) verify(ctx context.Context, n *debug.Node, _ []string) error {
	report, err := n.Verify(ctx)
	if err != nil {
		return err
	}
	if err := v.show(report); err != nil {
		return err
	}
	if bad := report.Bad(); bad > 0 {
		return fmt.Errorf("%d of %d are not what was signed", bad, len(report.Findings))
	}
	return nil
}

func (v *view) logs() *cobra.Command {
	var lines int
	var since string
	cmd := &cobra.Command{Use: "logs [UNIT...]", Short: "Print the last lines of units' logs, of all when none is named"}
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "how many lines; 0 for all")
	cmd.Flags().StringVar(&since, "since", "", "not older than this: a duration such as 10m, or a time such as 2026-01-02T15:04:05Z")
	cmd.RunE = v.run(func(ctx context.Context, n *debug.Node, args []string) error {
		from, err := instant(since, time.Now())
		if err != nil {
			return usageError{err}
		}
		read, err := n.Logs(ctx, unitlog.Query{Units: args, Lines: lines, Since: from})
		if err != nil {
			return err
		}
		if *v.format == "json" {
			return printJSON(v.out, read)
		}
		for _, line := range read {
			if err := debug.WriteLine(v.out, line, len(args) != 1); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// instant reads a time, or a duration before now; "" is no time.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago.Abs()), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--since %s: want a duration such as 10m, or a time such as %s", text, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func (v *view) bundle() *cobra.Command {
	var path string
	cmd := &cobra.Command{Use: "bundle", Short: "Write the support archive (tar.gz, without secrets)", Args: cobra.NoArgs}
	cmd.Flags().StringVarP(&path, "file", "f", "", "where to; slipway-bundle-<host>-<time>.tar.gz when empty, - for the standard output")
	cmd.RunE = v.run(func(ctx context.Context, n *debug.Node, _ []string) error {
		if path == "-" {
			return bundle.Write(ctx, n, v.out)
		}
		if path == "" {
			host, err := os.Hostname()
			if err != nil {
				return err
			}
			path = fmt.Sprintf("slipway-bundle-%s-%s.tar.gz", host, time.Now().UTC().Format("20060102T150405Z"))
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(bundle.Write(ctx, n, file), file.Close()); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		_, err = fmt.Fprintln(v.out, path)
		return err
	})
	return cmd
}

func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
