package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

func (a *app) imagesCommand() *cobra.Command {
	var source string
	cmd := group("images", "Build the component images, lock them, verify them",
		a.imagesBuild(&source), a.imagesDebian(&source), a.imagesLock(&source), a.imagesVerify(), a.imagesSign(), a.imagesKeys(),
		a.imagesChain(), a.imagesBundle(), a.imagesUnbundle(), a.imagesMirror(), a.imagesServe(), a.imagesDelta(&source))
	cmd.PersistentFlags().StringVar(&source, "source", "", "clone of slipway to build from (default: the one around the working directory or the executable)")
	return cmd
}

func (a *app) imagesBuild(source *string) *cobra.Command {
	var f buildFlags
	var layout string
	cmd := &cobra.Command{
		Use: "build [IMAGE[@VERSION]...]", Short: "Build images into the cache",
		Long: "Build images into the cache: those that are named (the newest version, or the one after @), or with --all every\n" +
			"image there is a recipe for. When none is named, the images of a cluster of the default Kubernetes version.",
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			o, err := f.options(args)
			if err != nil {
				return usageError{err}
			}
			o.Sources = tree.Sources()
			report := a.reporter()
			built, err := images.BuildWith(cmd.Context(), report, o)
			report.Close()
			if err != nil {
				return err
			}
			if layout != "" {
				if built, err = adopted(tree.Lock(), built); err != nil {
					return err
				}
				if err := component.WriteLayout(layout, built); err != nil {
					return err
				}
				if err := component.AttachEvidence(cmd.Context(), layout, built); err != nil {
					return err
				}
			}
			l, err := component.Compute(built)
			if err != nil {
				return err
			}
			return a.printImages(l)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&layout, "layout", "", "also write the images, and with --gzip their SBOMs and provenance, into this OCI layout")
	return cmd
}

// adopted gives images the index of the committed lock, where that names what was built: it may name
// other platforms and forms beside. Without a lock they keep their own.
func adopted(committed string, built []component.Built) ([]component.Built, error) {
	l, err := lock.Load(committed)
	if errors.Is(err, fs.ErrNotExist) {
		return built, nil
	}
	if err != nil {
		return nil, err
	}
	return component.Adopt(l, built)
}

func (a *app) imagesDebian(source *string) *cobra.Command {
	return &cobra.Command{
		Use: "debian", Short: "Pin the newest Debian packages that images take files from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, err := worktree.Find(*source)
			if err != nil {
				return usageError{err}
			}
			changes, err := component.PinPackages(cmd.Context(), tree.Sources(), "")
			if err != nil {
				return err
			}
			if a.json() {
				return a.printLine(map[string]any{"changes": changes})
			}
			for _, c := range changes {
				fmt.Fprintln(a.Out, c)
			}
			fmt.Fprintf(a.Out, "%d packages changed.\n", len(changes))
			return nil
		},
	}
}

// buildFlags are the flags that say what is built.
type buildFlags struct {
	all, gzip bool
	platforms []string
	parallel  int
}

func (f *buildFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.all, "all", false, "every image")
	cmd.Flags().BoolVar(&f.gzip, "gzip", false, "pack the gzip form too, for registries of others; nodes fetch zstd")
	cmd.Flags().StringSliceVar(&f.platforms, "platform", nil, "platforms, or all (default: this machine's)")
	cmd.Flags().IntVar(&f.parallel, "parallel", 0, "builds at the same time (default 2)")
}

func (f *buildFlags) options(names []string) (component.Options, error) {
	o := component.Options{Names: names, Platforms: f.platforms, Parallel: f.parallel}
	switch {
	case f.all && len(names) > 0:
		return o, errors.New("name images, or give --all")
	case !f.all && len(names) == 0:
		o.Names = component.ClusterImages()
	}
	if slices.Equal(f.platforms, []string{"all"}) {
		o.Platforms = component.Platforms()
	}
	for _, p := range o.Platforms {
		if !slices.Contains(component.Platforms(), p) {
			return o, fmt.Errorf("no platform %q; there are %s", p, strings.Join(component.Platforms(), ", "))
		}
	}
	if f.gzip {
		o.Forms = component.Forms()
	}
	return o, nil
}

// printImages lists the images of a lock, a row for each platform.
func (a *app) printImages(l *lock.Lock) error {
	if a.json() {
		return a.printLine(map[string]any{"images": l.Images})
	}
	size := func(bytes int64) string {
		if bytes == 0 {
			return ""
		}
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	var rows [][]string
	for _, i := range l.Images {
		for _, p := range i.Platforms {
			var gzip int64
			for _, layer := range p.Gzip.Layers {
				gzip += layer.Size
			}
			rows = append(rows, []string{i.Name, i.Version, p.Platform, size(p.Bytes()), size(gzip), p.Manifest})
		}
		if i.Unresolved != "" {
			rows = append(rows, []string{i.Name, i.Version, "", "", "", i.Unresolved})
		}
	}
	table(a.Out, []string{"IMAGE", "VERSION", "PLATFORM", "ZSTD", "GZIP", "MANIFEST"}, rows)
	return nil
}
