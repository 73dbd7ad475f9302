package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"slipway.build/slipway/imagebuild/livemedia"
)

func (a *app) mediaPXE() *cobra.Command {
	return group("pxe", "Wrap what a network boot reads, and unwrap it", a.pxeWrap(), a.pxeUnwrap())
}

func (a *app) pxeWrap() *cobra.Command {
	var f contentFlags
	var out, initramfs string
	var force bool
	cmd := &cobra.Command{
		Use: "wrap [CONFIG] --out FILE", Short: "Make an archive to load behind the initial RAM disk, or append it to one", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is needed")
			}
			c, err := a.content(&f, optional(args, 0))
			if err != nil {
				return err
			}
			if c.Empty() {
				return usagef("name a configuration or --network")
			}
			if initramfs == "" {
				b, err := livemedia.Wrap(c)
				if err != nil {
					return err
				}
				if err := writeSecret(out, b); err != nil {
					return err
				}
				return a.said(map[string]any{"file": out, "bytes": len(b)}, "%s has %d bytes.", out, len(b))
			}
			if err := a.change(&targetFlags{}, "append", func(to livemedia.Target) error {
				return livemedia.Append(cmd.Context(), initramfs, c, force, out, to.Progress)
			}); err != nil {
				return err
			}
			return a.said(map[string]any{"file": out}, "%s is %s with the archive behind it.", out, initramfs)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&out, "out", "", "file to write; may be the initial RAM disk itself")
	cmd.Flags().StringVar(&initramfs, "initramfs", "", "initial RAM disk to append to (default: the archive alone)")
	cmd.Flags().BoolVar(&force, "force", false, "replace what is appended already")
	return cmd
}

func (a *app) pxeUnwrap() *cobra.Command {
	var out, network string
	cmd := &cobra.Command{
		Use: "unwrap FILE", Short: "Find the archive at the end of an initial RAM disk, or alone, and read it", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			size, err := file.Seek(0, io.SeekEnd)
			if err != nil {
				return err
			}
			c, at, err := livemedia.Unwrap(file, size)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" && network == "" {
				return a.said(map[string]any{"offset": at, "configBytes": len(c.Config), "network": len(c.Network)},
					"%s has an archive at byte %d: a configuration of %d bytes and %d network settings.", args[0], at, len(c.Config), len(c.Network))
			}
			return a.extracted(c, args[0], out, network)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file for the configuration, - for standard output")
	cmd.Flags().StringVar(&network, "network", "", "directory for the network settings")
	return cmd
}
