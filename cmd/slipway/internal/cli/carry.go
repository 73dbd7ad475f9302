package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/progress"
	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/registry"
)

// carrying reports the progress of images on their way.
func carrying(report progress.Reporter, label string) (step func(done, total int64), end func(error)) {
	last := progress.Update{Task: "carry", Label: label, State: progress.Running, Unit: progress.Bytes}
	step = func(done, total int64) {
		u := last
		u.Done, u.Total = done, total
		report.Report(u)
	}
	return step, func(err error) {
		last.State = progress.Done
		if err != nil {
			last.State, last.Detail = progress.Failed, err.Error()
		}
		report.Report(last)
		report.Close()
	}
}

// source opens where images come from, with the signed lock that goes along. The returned function closes it.
func (a *app) source(ctx context.Context, from images.Place, s images.Subject, selection bundle.Selection, osLayout string) (bundle.Source, func(), error) {
	paths := images.Paths{State: a.state}
	if from.Registry != nil {
		source, err := images.FromRegistry(ctx, paths, s, from.Registry, selection)
		if err != nil {
			from.Registry.Close()
		}
		return source, from.Registry.Close, err
	}
	if s.Number != 0 {
		return nil, nil, usagef("--lock-number asks a registry; %s has one lock at most", from.Path)
	}
	if from.Path == "" {
		from.Path = paths.Registry()
	}
	l, err := layout.Open(from.Path)
	if err != nil {
		return nil, nil, err
	}
	closers := []func() error{l.Close}
	end := func() {
		for _, c := range closers {
			_ = c()
		}
	}
	carried, err := images.FindLock(s, l)
	if err != nil {
		end()
		return nil, nil, err
	}
	_, packed, err := images.Carried(paths, s, carried, osLayout)
	if err != nil {
		end()
		return nil, nil, err
	}
	sources := []bundle.Source{bundle.Layout{Layout: l, Selection: selection, OwnLock: true}, packed}
	if osLayout != "" {
		o, err := layout.Open(osLayout)
		if err != nil {
			end()
			return nil, nil, err
		}
		closers = append(closers, o.Close)
		sources = append(sources, bundle.Layout{Layout: o})
	}
	return bundle.Join(sources...), end, nil
}

func (a *app) imagesBundle() *cobra.Command {
	var s images.Subject
	var from, osLayout string
	var names []string
	cmd := &cobra.Command{
		Use: "bundle OUT.tar", Short: "Write images, their evidence and signatures, and the signed lock as one archive for a site without a network",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, end, err := a.source(cmd.Context(), images.Place{Path: from}, s, bundle.Selection{Images: names}, osLayout)
			if err != nil {
				return err
			}
			defer end()
			step, done := carrying(a.quietReporter(), "bundle "+args[0])
			sum, err := bundle.Create(cmd.Context(), args[0], source, step)
			done(err)
			if err != nil {
				return err
			}
			return a.printSummary(args[0], sum, sum)
		},
	}
	subjectFlags(cmd, &s)
	cmd.Flags().StringVar(&from, "from", "", "OCI layout or archive to take the images from (default: the published one)")
	cmd.Flags().StringVar(&osLayout, "os", "", "layout of `slipway os build` whose OS images go along")
	cmd.Flags().StringSliceVar(&names, "image", nil, "take these only: NAME or NAME:VERSION; may be repeated")
	return cmd
}

func (a *app) imagesUnbundle() *cobra.Command {
	var s images.Subject
	cmd := &cobra.Command{
		Use: "unbundle ARCHIVE LAYOUT", Short: "Bring the images of an archive into a layout's directory; what is there stays", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mirror(cmd, images.Place{Path: args[0]}, images.Place{Path: args[1]}, s, bundle.Selection{}, 0)
		},
	}
	subjectFlags(cmd, &s)
	return cmd
}

func (a *app) imagesMirror() *cobra.Command {
	var s images.Subject
	var names []string
	var parallel int
	cmd := &cobra.Command{
		Use: "mirror FROM TO", Short: "Copy images from a layout, archive or registry to a registry or layout: what it lacks, compared by digest",
		Long: `Copy images with their evidence, signatures and the signed lock. FROM and TO are paths, or registries with a path:
docker://registry.example.org/mirror, http://127.0.0.1:5000. Only what TO lacks travels, so a run that was killed goes on where it
was; nothing is kept beside TO. From a registry come the images of the lock: of --lock, of the published one, or of the one that the
registry carries under --lock-number.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err1 := images.ParsePlace(args[0])
			to, err2 := images.ParsePlace(args[1])
			if err := errors.Join(err1, err2); err != nil {
				return usageError{err}
			}
			return a.mirror(cmd, from, to, s, bundle.Selection{Images: names}, parallel)
		},
	}
	subjectFlags(cmd, &s)
	cmd.Flags().StringSliceVar(&names, "image", nil, "take these only: NAME or NAME:VERSION; may be repeated")
	cmd.Flags().IntVar(&parallel, "parallel", 4, "blobs at the same time")
	cmd.Flags().Int64Var(&s.Number, "lock-number", 0, "take the lock of this number from the registry FROM")
	cmd.MarkFlagsMutuallyExclusive("lock", "lock-number")
	return cmd
}

func (a *app) mirror(cmd *cobra.Command, from, to images.Place, s images.Subject, selection bundle.Selection, parallel int) error {
	source, end, err := a.source(cmd.Context(), from, s, selection, "")
	if err != nil {
		return err
	}
	defer end()
	var target bundle.Target = &bundle.ToLayout{Dir: to.Path}
	where := to.Path
	if to.Registry != nil {
		defer to.Registry.Close()
		to.Registry.Push = true
		target, where = bundle.ToRegistry{Registry: to.Registry}, to.Registry.String()
	} else if st, err := os.Stat(to.Path); err == nil && !st.IsDir() {
		return usagef("%s is no directory; `slipway images bundle` writes archives", to.Path)
	}
	step, done := carrying(a.quietReporter(), "mirror to "+where)
	m, err := bundle.Mirror(cmd.Context(), source, target, bundle.MirrorOptions{Parallel: parallel, Progress: step})
	done(err)
	if err != nil {
		return fmt.Errorf("mirror to %s: %w", where, err)
	}
	if !a.json() {
		fmt.Fprintf(a.Out, "%d objects of %.1f MiB were copied, %d shared between repositories, %d names set.\n", m.Copied, mib(m.Moved), m.Shared, m.Named)
		for _, name := range m.Sparse {
			fmt.Fprintf(a.Out, "%s: the registry wants all platforms of an index; its manifests are there by digest, which is all that nodes ask for.\n", name)
		}
	}
	return a.printSummary(where, &m.Summary, m)
}

// printSummary prints what was carried.
func (a *app) printSummary(where string, s *bundle.Summary, whole any) error {
	if a.json() {
		return a.printJSON(map[string]any{"to": where, "result": whole})
	}
	for _, name := range s.Images {
		fmt.Fprintln(a.Out, "  "+name)
	}
	fmt.Fprintf(a.Out, "%s has %d images and %d attachments: %d blobs of %.1f MiB.\n", where, len(s.Images), s.Attached, s.Blobs, mib(s.Bytes))
	return nil
}

func (a *app) imagesServe() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "serve LAYOUT|ARCHIVE", Short: "Serve an OCI layout or archive as a read-only registry, for nodes of a site without another one", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := layout.Open(args[0])
			if err != nil {
				return err
			}
			defer l.Close()
			handler := registry.New(args[0])
			if l.Kind() == "archive" {
				handler = registry.NewArchive(l)
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("serve %s: %w", args[0], err)
			}
			server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
			if a.json() {
				err = a.printLine(map[string]any{"registry": listener.Addr().String()})
			} else {
				_, err = fmt.Fprintf(a.Out, "%s is served at http://%s until this is interrupted; who fetches compares digests.\n", args[0], listener.Addr())
			}
			if err != nil {
				return errors.Join(err, listener.Close())
			}
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			select {
			case err := <-served:
				return err
			case <-cmd.Context().Done():
				_ = server.Close()
				<-served
				return nil
			}
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:5000", "address to listen on; port 0 takes a free one")
	return cmd
}
