package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/osimage/lint"
	"slipway.build/slipway/imagebuild/osimage/transport"
)

func (a *app) osLint() *cobra.Command {
	var base, arch, userData, kargs string
	var area int
	var rules bool
	cmd := &cobra.Command{
		Use: "lint DIRECTORY|TAR|LAYOUT|REFERENCE", Short: "Hold an OS layer or a derived image against what importers on a node do with it",
		Long: `Apply all rules to a directory or tar that is to become a layer, or to an image's layers on top of its base: the
last one, those behind an encapsulated ostree commit, or with --base all on top of that. Every finding says what happens on a
node and what to do. Errors end with exit code 1; warnings alone with 0.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rules {
				return a.printOSRules()
			}
			if len(args) != 1 {
				return usagef("name what to lint")
			}
			s, err := subject(cmd.Context(), args[0], base, arch)
			if err != nil {
				return fmt.Errorf("lint %s: %w", args[0], err)
			}
			if userData != "" {
				if s.UserData, err = os.ReadFile(userData); err != nil {
					return usageError{err}
				}
			}
			s.Kargs, s.KargsArea = kargs, area
			return a.printOSFindings(lint.Run(s))
		},
	}
	cmd.Flags().StringVar(&base, "base", "", "the image's base, whose layers are read, too: a layout, an archive or a reference")
	cmd.Flags().StringVar(&arch, "arch", "amd64", "architecture that an index is resolved to")
	cmd.Flags().StringVar(&userData, "user-data", "", "Ignition configuration that goes with the image, for Nova's limit")
	cmd.Flags().StringVar(&kargs, "kargs", "", "kernel arguments for live media, for the limit of --kargs-area")
	cmd.Flags().IntVar(&area, "kargs-area", 0, "bytes of the area for kernel arguments in the live medium")
	cmd.Flags().BoolVar(&rules, "rules", false, "list the rules")
	return cmd
}

// subject reads what is to be linted, whatever it is.
func subject(ctx context.Context, text, base, arch string) (*lint.Subject, error) {
	ref, err := transport.Parse(text)
	if err != nil {
		return nil, usageError{err}
	}
	switch {
	case ref.Kind == transport.Layout && !layout.Is(ref.Path):
		if _, err := os.Stat(ref.Path); err != nil {
			return nil, usageError{err}
		}
		return lint.FromDirectory(ref.Path)
	case ref.Kind == transport.Archive && !layout.Is(ref.Path):
		f, err := os.Open(ref.Path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return lint.FromTar(f)
	}
	opts := transport.Options{Architecture: arch}
	image, err := transport.Open(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	var below *transport.Image
	if base != "" {
		ref, err := transport.Parse(base)
		if err != nil {
			return nil, usageError{err}
		}
		if below, err = transport.Open(ctx, ref, opts); err != nil {
			return nil, err
		}
		defer below.Close()
	}
	return lint.FromImage(ctx, image, below)
}

func (a *app) printOSFindings(all []lint.Finding) error {
	errs := lint.Errors(all)
	if a.json() {
		if all == nil {
			all = []lint.Finding{}
		}
		if err := a.printJSON(map[string]any{"findings": all, "errors": len(errs), "warnings": len(all) - len(errs)}); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			where := ""
			if f.Path != "" {
				where = " /" + f.Path
			}
			if f.Layer > 0 {
				where += fmt.Sprintf(" (layer %d)", f.Layer)
			}
			fmt.Fprintf(a.Out, "%s %s%s\n    %s.\n    %s.\n", f.Severity, f.Rule, where, f.Happens, f.Do)
		}
		fmt.Fprintf(a.Out, "%d errors, %d warnings by %d rules.\n", len(errs), len(all)-len(errs), len(lint.Rules()))
	}
	if len(errs) > 0 {
		return errors.New("the image would break nodes; see the errors above")
	}
	return nil
}

func (a *app) printOSRules() error {
	var rows [][]string
	for _, r := range lint.Rules() {
		rows = append(rows, []string{r.Name, r.Says})
	}
	if a.json() {
		return a.printJSON(lint.Rules())
	}
	table(a.Out, []string{"RULE", "SAYS"}, rows)
	return nil
}
