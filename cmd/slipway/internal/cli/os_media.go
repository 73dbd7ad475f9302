package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/ignition/lint"
	"slipway.build/slipway/imagebuild/livemedia"
)

// targetFlags say where a changed image goes.
type targetFlags struct {
	out     string
	inPlace bool
}

func (f *targetFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.out, "out", "", "write the changed image to another file (default: a changed copy takes the place of the image)")
	cmd.Flags().BoolVar(&f.inPlace, "in-place", false, "overwrite the areas in the image itself, without a copy; a journal beside it makes that safe")
}

// change runs a change of an image, with progress while it is copied.
func (a *app) change(f *targetFlags, label string, do func(livemedia.Target) error) error {
	if f.inPlace && f.out != "" {
		return usagef("either --in-place or --out")
	}
	r := a.reporter()
	u := progress.Update{Task: "image", Label: label, State: progress.Running, Unit: progress.Bytes}
	err := do(livemedia.Target{Output: f.out, InPlace: f.inPlace, Progress: func(done, total int64) {
		u.Done, u.Total = done, total
		r.Report(u)
	}})
	u.State = progress.Done
	if err != nil {
		u.State = progress.Failed
	}
	r.Report(u)
	r.Close()
	return err
}

// contentFlags name what is embedded.
type contentFlags struct {
	network  []string
	warnings bool
}

func (f *contentFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.network, "network", nil, "NetworkManager keyfile (NAME.nmconnection) for the first boot; may be repeated")
	cmd.Flags().BoolVar(&f.warnings, "warnings", false, "let warnings about the configuration pass")
}

// content reads and checks what is to be embedded; config is "" for network settings alone.
func (a *app) content(f *contentFlags, config string) (livemedia.Content, error) {
	var c livemedia.Content
	var err error
	if config != "" {
		if c.Config, err = a.readText(config); err != nil {
			return c, err
		}
		if err := lint.Validate(config, c.Config, -1).Err(f.warnings); err != nil {
			return c, err
		}
	}
	for _, file := range f.network {
		b, err := a.readText(file)
		if err != nil {
			return c, err
		}
		if c.Network == nil {
			c.Network = map[string][]byte{}
		}
		name := filepath.Base(file)
		if c.Network[name] != nil {
			return c, usagef("--network %s: there is another file of that name", file)
		}
		c.Network[name] = b
	}
	return c, nil
}

func optional(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

func (a *app) mediaEmbed() *cobra.Command {
	var t targetFlags
	var f contentFlags
	var force bool
	cmd := &cobra.Command{
		Use: "embed ISO [CONFIG]", Short: "Put an Ignition configuration, network settings or both into a live ISO image", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.content(&f, optional(args, 1))
			if err != nil {
				return err
			}
			if c.Empty() {
				return usagef("name a configuration or --network")
			}
			used := 0
			if err := a.change(&t, "embed", func(to livemedia.Target) error {
				used, err = livemedia.Embed(cmd.Context(), args[0], c, force, to)
				return err
			}); err != nil {
				return err
			}
			return a.said(map[string]any{"image": target(&t, args[0]), "bytes": used}, "%s has %d bytes embedded.", target(&t, args[0]), used)
		},
	}
	t.register(cmd)
	f.register(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "replace what is embedded already")
	return cmd
}

func target(t *targetFlags, iso string) string {
	if t.out != "" {
		return t.out
	}
	return iso
}

// said prints a result in either form.
func (a *app) said(v map[string]any, format string, args ...any) error {
	if a.json() {
		return a.printLine(v)
	}
	fmt.Fprintf(a.Out, format+"\n", args...)
	return nil
}

func (a *app) mediaExtract() *cobra.Command {
	var out, network string
	cmd := &cobra.Command{
		Use: "extract ISO", Short: "Read out what a live ISO image has embedded, and what it says of itself", Args: cobra.ExactArgs(1),
		Long: `Without flags, print what the image says of itself: its areas, kernel arguments and the names of what is
embedded. --out writes the configuration to a file (- for standard output), --network the network settings to a directory.`,
		RunE: func(_ *cobra.Command, args []string) error {
			m, c, err := livemedia.Open(args[0])
			if err != nil {
				return err
			}
			if out == "" && network == "" {
				return a.printMedia(m, c)
			}
			return a.extracted(c, args[0], out, network)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file for the configuration, - for standard output")
	cmd.Flags().StringVar(&network, "network", "", "directory for the network settings")
	return cmd
}

// extracted writes what was found to where the flags say.
func (a *app) extracted(c livemedia.Content, from, out, network string) error {
	if out != "" && c.Config == nil {
		return fmt.Errorf("%s has no configuration embedded", from)
	}
	if network != "" {
		if len(c.Network) == 0 {
			return fmt.Errorf("%s has no network settings embedded", from)
		}
		if err := os.MkdirAll(network, 0o700); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(c.Network)) {
			if strings.ContainsRune(name, '/') || name == ".." || name == "." {
				return fmt.Errorf("%s has network settings by the name %q", from, name)
			}
			if err := writeSecret(filepath.Join(network, name), c.Network[name]); err != nil {
				return err
			}
		}
	}
	switch out {
	case "":
		return nil
	case "-":
		_, err := a.Out.Write(c.Config)
		return err
	}
	return writeSecret(out, c.Config)
}

// printMedia shows an image's areas.
func (a *app) printMedia(m *livemedia.Media, c livemedia.Content) error {
	names := slices.Sorted(maps.Keys(c.Network))
	if a.json() {
		return a.printLine(map[string]any{"media": m, "config": c.Config != nil, "configBytes": len(c.Config), "network": append([]string{}, names...), "other": append([]string{}, slices.Sorted(maps.Keys(c.Other))...)})
	}
	config := "none"
	if c.Config != nil {
		config = fmt.Sprintf("%d bytes", len(c.Config))
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	rows := [][]string{{"volume", m.Volume}, {"area", m.Ignition.String()}, {"configuration", config}, {"network", strings.Join(names, " ")}}
	if m.Kargs != nil {
		rows = append(rows, []string{"kernel arguments", m.Kargs.Current}, []string{"by default", m.Kargs.Default})
		for _, k := range m.Kargs.Areas {
			rows = append(rows, []string{"in", k.Region.String()})
		}
	}
	table(a.Out, []string{"WHAT", "VALUE"}, rows)
	return nil
}

func (a *app) mediaRemove() *cobra.Command {
	var t targetFlags
	cmd := &cobra.Command{
		Use: "remove ISO", Short: "Empty the area of a live ISO image", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.change(&t, "remove", func(to livemedia.Target) error { return livemedia.Remove(cmd.Context(), args[0], to) }); err != nil {
				return err
			}
			return a.said(map[string]any{"image": target(&t, args[0])}, "%s has nothing embedded.", target(&t, args[0]))
		},
	}
	t.register(cmd)
	return cmd
}

func (a *app) mediaRecover() *cobra.Command {
	return &cobra.Command{
		Use: "recover ISO", Short: "Undo a change in place that was interrupted", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			done, err := livemedia.Recover(args[0])
			if err != nil {
				return err
			}
			if !done {
				return a.said(map[string]any{"undone": false}, "%s was not being changed.", args[0])
			}
			return a.said(map[string]any{"undone": true}, "%s is as it was before the change.", args[0])
		},
	}
}

func (a *app) mediaKargs() *cobra.Command {
	var t targetFlags
	var e livemedia.KargsEdit
	cmd := &cobra.Command{
		Use: "kargs ISO", Short: "Show or change the kernel arguments of a live ISO image", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.Empty() {
				m, _, err := livemedia.Open(args[0])
				if err != nil {
					return err
				}
				if m.Kargs == nil {
					return fmt.Errorf("%s has no areas for kernel arguments", args[0])
				}
				return a.said(map[string]any{"kargs": m.Kargs.Current, "default": m.Kargs.Default, "size": m.Kargs.Size}, "%s", m.Kargs.Current)
			}
			var now string
			if err := a.change(&t, "kernel arguments", func(to livemedia.Target) (err error) {
				now, err = livemedia.SetKargs(cmd.Context(), args[0], e, to)
				return err
			}); err != nil {
				return err
			}
			return a.said(map[string]any{"image": target(&t, args[0]), "kargs": now}, "%s", now)
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&e.Append, "append", nil, "argument to append; may be repeated")
	flags.StringArrayVar(&e.Delete, "delete", nil, "argument to delete; may be repeated")
	flags.StringArrayVar(&e.Replace, "replace", nil, "KEY=NEW or KEY=OLD=NEW; may be repeated")
	flags.BoolVar(&e.Reset, "reset", false, "begin with the image's default arguments")
	return cmd
}
