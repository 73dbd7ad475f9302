package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/component"
)

// imagesLock writes the lock when it is called plainly; the commands beneath it look at locks.
func (a *app) imagesLock(source *string) *cobra.Command {
	var check, renew, cached bool
	var f buildFlags
	var file string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "lock [IMAGE[@VERSION]...]", Short: "Build all images and write images.yaml; with a command, judge locks and explain them",
		Long: "Build all images for all platforms and write images.yaml: an hour or two on a machine that has built none of them.\n" +
			"Where images are named, build those, and keep the others as images.yaml has them: each whose inputs have changed\n" +
			"since is refused by name. With --check, build the images of a cluster (or those that are named, or with --all\n" +
			"every one) and compare them with images.yaml.",
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			if file == "" {
				file = tree.Lock()
			}
			if !check {
				f = buildFlags{all: len(args) == 0, gzip: true, platforms: []string{"all"}, parallel: f.parallel}
			}
			o, err := f.options(args)
			if err != nil {
				return usageError{err}
			}
			o.Sources, o.CachedOnly = tree.Sources(), cached
			report := a.reporter()
			built, err := images.BuildWith(cmd.Context(), report, o)
			report.Close()
			if err != nil {
				return err
			}
			if check {
				if _, err := images.Check(file, built); err != nil {
					return err
				}
				if !a.json() {
					fmt.Fprintf(a.Out, "%s names exactly what was built here.\n", file)
				}
				return nil
			}
			l, err := images.Complete(file, built, o)
			if err != nil {
				return err
			}
			if err := images.Issue(file, l, time.Now(), life, renew); err != nil {
				return err
			}
			if err := component.WriteLock(file, l); err != nil {
				return err
			}
			if a.json() {
				return a.printLine(map[string]any{"lock": file})
			}
			fmt.Fprintf(a.Out, "%s is lock number %d, for new applications until %s; it is signed where it is published.\n", file, l.Number, l.Expires)
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; fail and name what differs when images.yaml is not what was built")
	f.add(cmd)
	cmd.Flags().BoolVar(&cached, "cached", false, "compile nothing: what is not in the cache is locked as unresolved")
	cmd.Flags().BoolVar(&renew, "renew", false, "issue the lock anew under the next number, even if no image has changed")
	cmd.Flags().DurationVar(&life, "life", component.LockLife, "how long a newly issued lock may be applied to nodes")
	cmd.Flags().StringVar(&file, "lock", "", "the lock (default: images.yaml of the clone)")
	cmd.AddCommand(a.lockCheck(source), a.lockSign(source), a.lockUpdate(source), a.lockAccept(source), a.lockDiff(source), a.lockExplain(source), a.lockSchema())
	return cmd
}
