package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

func (a *app) imagesCommand() *cobra.Command {
	var source string
	cmd := group("images", "Build the component images, lock them, verify them",
		a.imagesBuild(&source), a.imagesLock(&source), a.imagesVerify(), a.imagesKeys())
	cmd.PersistentFlags().StringVar(&source, "source", "", "clone of slipway to build from (default: the one around the working directory or the executable)")
	return cmd
}

func (a *app) imagesBuild(source *string) *cobra.Command {
	return &cobra.Command{
		Use: "build [IMAGE...]", Short: "Build images into the cache; all of them when none is named",
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			report := a.reporter()
			built, err := images.Build(cmd.Context(), report, tree.Sources(), args...)
			report.Close()
			if err != nil {
				return err
			}
			l, err := component.Compute(built)
			if err != nil {
				return err
			}
			return a.printImages(l)
		},
	}
}

// printImages lists the images of a lock.
func (a *app) printImages(l *lock.Lock) error {
	if a.json() {
		return a.printLine(map[string]any{"images": l.Images})
	}
	var rows [][]string
	for _, i := range l.Images {
		digest, size := i.Unresolved, ""
		if len(i.Platforms) > 0 {
			digest, size = i.Platforms[0].Manifest, fmt.Sprintf("%.1f MiB", float64(i.Platforms[0].Bytes())/(1<<20))
		}
		rows = append(rows, []string{i.Name, i.Version, size, digest})
	}
	table(a.Out, []string{"IMAGE", "VERSION", "SIZE", "MANIFEST"}, rows)
	return nil
}

func (a *app) imagesLock(source *string) *cobra.Command {
	var check, renew bool
	var file string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "lock", Short: "Build all images and write images.yaml, or check it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			if file == "" {
				file = tree.Lock()
			}
			report := a.reporter()
			built, err := images.Build(cmd.Context(), report, tree.Sources())
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
			l, err := component.Compute(built)
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
	cmd.Flags().BoolVar(&renew, "renew", false, "issue the lock anew under the next number, even if no image has changed")
	cmd.Flags().DurationVar(&life, "life", component.LockLife, "how long a newly issued lock may be applied to nodes")
	cmd.Flags().StringVar(&file, "lock", "", "the lock (default: images.yaml of the clone)")
	return cmd
}
