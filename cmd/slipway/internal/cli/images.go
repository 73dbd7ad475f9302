package cli

import (
	"fmt"

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
