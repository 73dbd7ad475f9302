package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

func (a *app) lockUpdate(source *string) *cobra.Command {
	var write bool
	var file, to string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "update [IMAGE[@VERSION]...]", Short: "Look at the sources of images and show what is newer; with --write resolve upstream's images",
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			if file == "" {
				file = tree.Lock()
			}
			l, err := valid(*source, file)
			if err != nil {
				return err
			}
			report := a.reporter()
			last := progress.Update{}
			done := func(state progress.State) {
				if last.Task != "" {
					last.State = state
					report.Report(last)
				}
			}
			u := release.Updater{
				Modules: release.GoModules{}, Archive: release.AptIndexes{}, Registry: release.Upstream{}, Own: "slipway.build/",
				Edits: release.Clone{Files: os.DirFS(tree.Root), Recipes: "imagebuild/component", Sources: "imagebuild/component/sources"}.Edits,
				Progress: func(source string) {
					done(progress.Done)
					last = progress.Update{Task: "source/" + source, Label: "look at " + source, State: progress.Running}
					report.Report(last)
				},
			}
			all, err := u.Plan(cmd.Context(), l.Lock, args, to)
			if err != nil {
				done(progress.Failed)
			} else {
				done(progress.Done)
			}
			report.Close()
			if err != nil {
				return err
			}
			next, n, err := release.Apply(l.Lock, all, a.Now(), life)
			if err != nil {
				return err
			}
			if write && n > 0 {
				if err := component.WriteLock(file, next); err != nil {
					return err
				}
			}
			return a.printProposals(file, all, n, write, next)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "write the references that were resolved into the lock; without it nothing is written")
	cmd.Flags().StringVar(&to, "to", "", "the version to go to, of the one module that the images are of; also where the module proxy lists none")
	cmd.Flags().StringVar(&file, "lock", "", "the lock (default: images.yaml of the clone)")
	cmd.Flags().DurationVar(&life, "life", component.LockLife, "how long a newly issued lock may be applied to nodes")
	return cmd
}

func (a *app) printProposals(file string, all []release.Proposal, n int, write bool, next *lock.Lock) error {
	if a.json() {
		return a.printLine(map[string]any{"proposals": all, "resolved": n, "written": write && n > 0})
	}
	if err := release.WriteProposals(a.Out, all); err != nil {
		return err
	}
	switch {
	case n == 0:
		fmt.Fprintln(a.Out, "Nothing is to be written into the lock.")
	case write:
		fmt.Fprintf(a.Out, "%s is lock number %d, with %d references resolved; it is signed where it is published.\n", file, next.Number, n)
	default:
		fmt.Fprintf(a.Out, "Nothing was written; --write puts %d resolved references into %s.\n", n, file)
	}
	return nil
}

func (a *app) lockAccept(source *string) *cobra.Command {
	var file, reason, until string
	var retract bool
	var life time.Duration
	cmd := &cobra.Command{
		Use: "accept RULE IMAGE[@VERSION]...", Short: "Accept what a rule finds about images, with a reason, until a day; it is listed with the reason from then on", Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if !retract && (reason == "" || until == "") {
				return usagef("name a --reason and the last day, --until 2027-01-31")
			}
			l, err := valid(*source, file)
			if err != nil {
				return err
			}
			next := l.Lock
			for _, image := range args[1:] {
				if retract {
					next, err = release.Retract(next, args[0], image, a.Now(), life)
				} else {
					next, err = release.Accept(next, lock.Acceptance{Rule: args[0], Image: image, Reason: reason, Until: until}, a.Now(), life)
				}
				if err != nil {
					return err
				}
			}
			next.Issue(l.Number+1, a.Now(), life) // one number, however many images
			if err := component.WriteLock(l.file, next); err != nil {
				return err
			}
			if a.json() {
				return a.printLine(map[string]any{"lock": l.file, "number": next.Number, "accepted": next.Accepted})
			}
			fmt.Fprintf(a.Out, "%s is lock number %d; it is signed where it is published.\n", l.file, next.Number)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is not held against the lock")
	cmd.Flags().StringVar(&until, "until", "", "the last day on which it is not")
	cmd.Flags().BoolVar(&retract, "retract", false, "take the acceptance out again")
	cmd.Flags().StringVar(&file, "lock", "", "the lock (default: images.yaml of the clone)")
	cmd.Flags().DurationVar(&life, "life", component.LockLife, "how long a newly issued lock may be applied to nodes")
	return cmd
}
