package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
)

// Exit codes of every command.
const (
	ExitOK     = 0 // done
	ExitFailed = 1 // understood, but it did not succeed
	ExitUsage  = 2 // a flag, an argument or a command that does not exist; nothing was done
)

// DefaultState is where everything that slipway keeps on this machine is, unless SLIPWAY_STATE
// or --state say otherwise.
const DefaultState = "/var/lib/slipway"

// IO is what a command reads and writes, and the time it goes by.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Now      func() time.Time // time.Now when nil
}

// app is what the commands of one invocation share: the global flags.
type app struct {
	IO
	endpoint string
	state    string
	output   outputFormat
}

// usageError marks an error as one of usage.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// Run executes the command line args and returns the exit code. An error has been written to
// streams.Err by then.
func Run(ctx context.Context, args []string, streams IO) int {
	if streams.Now == nil {
		streams.Now = time.Now
	}
	a := &app{IO: streams}
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; run the same command again to go on")
	}
	fmt.Fprintf(streams.Err, "slipway: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
		fmt.Fprintln(streams.Err, "`slipway COMMAND --help` tells what a command takes.")
		return ExitUsage
	}
	return ExitFailed
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "slipway",
		Short: "Build Kubernetes node images and launch clusters from them",
		Long: `Slipway builds node images for Kubernetes and launches clusters from them.

` + "`slipway up`" + ` brings the whole system up on this machine and creates a cluster; the other
commands speak to the Magnum API of the slipwayd that it started.

Exit codes: 0 done, 1 failed, 2 usage (nothing was done).`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.endpoint, "endpoint", env("SLIPWAY_ENDPOINT", apiclient.DefaultEndpoint), "URL of slipwayd's API (SLIPWAY_ENDPOINT)")
	flags.StringVar(&a.state, "state", env("SLIPWAY_STATE", DefaultState), "directory with everything kept on this machine (SLIPWAY_STATE)")
	flags.VarP(&a.output, "output", "o", "text or json")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddCommand(a.clusterCommand(), a.nodeCommand(), a.templateCommand())
	root.AddCommand(a.upCommand(), a.downCommand(), a.statusCommand())
	root.AddCommand(a.imagesCommand(), a.osCommand(), a.localCommand())
	root.AddCommand(a.ciCommand())
	wrapArgs(root)
	return root
}

// wrapArgs makes the errors of all argument checks usage errors.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

// group is a command that only holds others: without a known one it is a usage error.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
	cmd.AddCommand(subs...)
	return cmd
}

func (a *app) client() (*apiclient.Client, error) {
	c, err := apiclient.New(a.endpoint)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// must reports a mistake in the tree of commands itself.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
