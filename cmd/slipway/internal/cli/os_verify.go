package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/program"
	"slipway.build/slipway/imagebuild/osimage/transport"
)

func (a *app) osVerify() *cobra.Command {
	var f layerFlags
	var trust, osLock, base string
	cmd := &cobra.Command{
		Use: "verify LAYOUT|ARCHIVE|REFERENCE", Short: "Build an OS image's layer again and compare it, file by file", Args: cobra.ExactArgs(1),
		Long: `Read the OS lock, check its signature, compile the node's programs with the toolchain that it names, build the layer from
this tree and compare: the layer's diff ID, the image's digest and, with --base, the image derived from that base again. Where
the layer is another one, its files are compared one by one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := osimage.VerifyOptions{Image: args[0], Base: base, Platform: "linux/" + f.arch}
			if err := readLock(&o, osLock); err != nil {
				return usageError{err}
			}
			paths := images.Paths{State: a.state}
			if trust == "" {
				trust = paths.PublicKey()
			}
			var err error
			if o.Trusted, err = os.ReadFile(trust); err != nil {
				return usageError{fmt.Errorf("trusted keys: %w", err)}
			}
			o.Contents.TrustKeys = o.Trusted
			file, err := f.lockFile(paths)
			if err != nil {
				return err
			}
			if o.Contents.Lock, err = os.ReadFile(file); err != nil {
				return err
			}
			if err := f.additions(&o.Contents); err != nil {
				return err
			}
			report := a.reporter()
			finish := sync.OnceFunc(report.Close)
			defer finish()
			programs := program.In(f.bin)
			if f.bin == "" {
				var done func()
				programs, done, err = a.compile(cmd, &f, report)
				defer done()
				if err != nil {
					return err
				}
			}
			o.Contents.Agent, o.Contents.ImportTool, o.Contents.Exec, o.Contents.Verifier = programs.Agent, programs.ImportTool, programs.Exec, programs.Verifier
			r, err := osimage.Verify(cmd.Context(), o)
			finish()
			if err != nil {
				return err
			}
			return a.printOSReport(r)
		},
	}
	f.register(cmd)
	must(cmd.Flags().MarkHidden("key"))
	cmd.Flags().StringVar(&trust, "trust", "", "public keys (PEM) of which one has signed the OS lock (default: the local key)")
	cmd.Flags().StringVar(&osLock, "os-lock", "", "the OS lock, with its signature in a file with .sig behind (default: the layout's, or os.yaml here)")
	cmd.Flags().StringVar(&base, "base", "", "where the base is, to derive from it again")
	return cmd
}

func readLock(o *osimage.VerifyOptions, file string) error {
	if file == "" {
		file = osimage.LockFile
		if ref, err := transport.Parse(o.Image); err == nil && ref.Kind == transport.Layout {
			file = filepath.Join(ref.Path, osimage.LockFile)
		}
	}
	var errs [2]error
	o.Lock, errs[0] = os.ReadFile(file)
	o.Signature, errs[1] = os.ReadFile(file + ".sig")
	return errors.Join(errs[:]...)
}

func (a *app) printOSReport(r *osimage.Report) error {
	if a.json() {
		if err := a.printLine(map[string]any{"ok": r.OK(), "report": r}); err != nil {
			return err
		}
	} else {
		var rows [][]string
		for _, c := range r.Checks {
			mark, got := "ok", c.Got
			if !c.OK {
				mark, got = "DIFFERS", c.Got+" (locked: "+c.Want+")"
			}
			rows = append(rows, []string{mark, c.What, got})
		}
		table(a.Out, []string{"", "WHAT", "FOUND"}, rows)
		for _, d := range r.Differences {
			fmt.Fprintf(a.Out, "%s\n    image: %s\n    here:  %s\n", d.Path, orNothing(d.Image), orNothing(d.Here))
		}
	}
	if !r.OK() {
		return errors.New("the image is not what this tree makes")
	}
	return nil
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
