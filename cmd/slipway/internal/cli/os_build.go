package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/nodeos"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/transport"
)

// debian is the name of the base that the local cloud's nodes have.
const debian = "debian"

func (a *app) osBuild() *cobra.Command {
	var f layerFlags
	var base, out, name, tag, lockOut string
	cmd := &cobra.Command{
		Use: "build --base BASE@sha256:… --out LAYOUT|REFERENCE", Short: "Derive a node OS image from Fedora CoreOS by one layer on top", Args: cobra.NoArgs,
		Long: `Append the OS layer (agent, units, signed lock, keys, containers policy) to a base that is pinned by its digest:
an OCI layout, an OCI archive or a reference into a registry, of either form of Fedora CoreOS. The base's
layers stay as they are. The image goes to a layout or a registry, signed, with its OS lock beside it.

--base debian makes the image of the local cloud's nodes instead: a directory of layers.`,
		Example: `  slipway os build --base fcos.ociarchive@sha256:… --repository registry.example.org/os/node --out node.oci
  slipway os build --base quay.io/fedora/fedora-coreos@sha256:… --out registry.example.org/os/node:44.1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if base == "" || out == "" {
				return usagef("--base and --out are needed")
			}
			if base == debian {
				return a.osDebian(cmd, &f, out)
			}
			repository, err := f.published(out)
			if err != nil {
				return usageError{err}
			}
			report := a.reporter()
			finish := sync.OnceFunc(report.Close)
			defer finish()
			c, key, done, err := a.contents(cmd, &f, report)
			defer done()
			if err != nil {
				return err
			}
			built, err := osimage.Build(cmd.Context(), osimage.BuildOptions{
				Base: base, Out: out, Repository: repository, Tag: tag, Name: name, Contents: c, Key: key,
				Progress: func(step string) {
					report.Report(progress.Update{Task: "os", Label: "node OS image", State: progress.Running, Detail: step})
				},
			})
			if err != nil {
				report.Report(progress.Update{Task: "os", Label: "node OS image", State: progress.Failed})
				return err
			}
			report.Report(progress.Update{Task: "os", Label: "node OS image", State: progress.Done, Done: built.LayerSize, Unit: progress.Bytes})
			finish()
			if lockOut, err = writeOSLock(out, lockOut, built); err != nil {
				return err
			}
			return a.printBuilt(built, out, lockOut, key.ID())
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&base, "base", "", "layout, archive or reference, with @ and the sha256 digest; or debian")
	cmd.Flags().StringVar(&out, "out", "", "directory of a layout, or reference into a registry")
	cmd.Flags().StringVar(&name, "name", "fedora-coreos", "name of the image in the OS lock")
	cmd.Flags().StringVar(&tag, "tag", "latest", "tag of the image in a layout")
	cmd.Flags().StringVar(&lockOut, "os-lock", "", "where the OS lock goes (default: into the layout, or os.yaml here for a registry)")
	return cmd
}

// writeOSLock puts the lock where it was asked for. A layout has it already.
func writeOSLock(out, file string, b *osimage.Built) (string, error) {
	if file == "" {
		if ref, err := transport.Parse(out); err != nil || ref.Kind == transport.Layout {
			return filepath.Join(out, osimage.LockFile), err
		}
		file = osimage.LockFile
	}
	return file, errors.Join(renameio.WriteFile(file+".sig", b.Signature, 0o644), renameio.WriteFile(file, b.Lock, 0o644))
}

// published is the repository that nodes will take the image from: the first --repository, or the one that
// is pushed to, which then is in the policy.
func (f *layerFlags) published(out string) (string, error) {
	ref, err := transport.Parse(out)
	if err != nil {
		return "", err
	}
	if ref.Kind == transport.Registry {
		name := ref.Remote.Context().Name()
		if !slices.ContainsFunc(f.repositories, func(r string) bool { return r == name || len(r) > len(name) && r[:len(name)+1] == name+"=" }) {
			f.repositories = append([]string{name}, f.repositories...)
		}
		return name, nil
	}
	if len(f.repositories) == 0 {
		return "", fmt.Errorf("a layout does not say where nodes will take the image from: name it with --repository REGISTRY/PATH, for the policy in the image rejects everything else")
	}
	return f.repositories[0], nil
}

func (a *app) printBuilt(b *osimage.Built, out, lockOut, key string) error {
	if a.json() {
		line, err := json.Marshal(map[string]any{"image": b.Image, "out": out, "lock": lockOut, "layers": b.Layers, "layerBytes": b.LayerSize, "seconds": b.Took.Seconds(), "key": key})
		if err != nil {
			return err
		}
		return a.printLine(json.RawMessage(line))
	}
	fmt.Fprintf(a.Out, "%s  %s\n", b.Image.Derived, out)
	table(a.Out, []string{"WHAT", "DIGEST"}, [][]string{
		{"base " + b.Image.Base.Reference, b.Image.Base.Digest},
		{"our layer (diff ID)", b.Image.Layer},
		{"components' lock in it", b.Image.Components},
		{"signed by", key},
	})
	fmt.Fprintf(a.Out, "%d layers, ours %.1f MiB, %.2f s from base to image; the OS lock is %s.\n", b.Layers, float64(b.LayerSize)/(1<<20), b.Took.Seconds(), lockOut)
	return nil
}

// osDebian makes what the local cloud registers, at another place.
func (a *app) osDebian(cmd *cobra.Command, f *layerFlags, out string) error {
	report := a.reporter()
	finish := sync.OnceFunc(report.Close)
	defer finish()
	c, _, done, err := a.contents(cmd, f, report)
	defer done()
	if err != nil {
		return err
	}
	b := &nodeos.Builder{Paths: images.Paths{State: a.state}, Name: debian}
	say := func(format string, v ...any) {
		report.Report(progress.Update{Task: "base", Label: "base tree", State: progress.Running, Detail: fmt.Sprintf(format, v...)})
	}
	tree, err := b.Base(cmd.Context(), say)
	if err != nil {
		return err
	}
	report.Report(progress.Update{Task: "base", Label: "base tree", State: progress.Done})
	layer, path, err := nodeos.Extract(c, out)
	if err != nil {
		return err
	}
	finish()
	if a.json() {
		return a.printLine(map[string]any{"base": tree, "layer": path, "diffID": layer.DiffID(), "components": layer.Components()})
	}
	table(a.Out, []string{"WHAT", "DIRECTORY"}, [][]string{{"base tree", tree}, {"our layer", path}})
	fmt.Fprintf(a.Out, "The layer is %s, the components' lock in it %s.\n", layer.DiffID(), layer.Components())
	return nil
}
