package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/trust"
)

func (a *app) imagesChain() *cobra.Command {
	return a.chain("Print the hashes from the signed lock to the sources of its images, and how each is known", false)
}

func (a *app) osChain() *cobra.Command {
	return a.chain("Print the hashes from a node OS image's base to the sources of its components, and how each is known", true)
}

// chain is the command that prints the chain; both groups have it, and the OS's wants an OS.
func (a *app) chain(short string, wantsOS bool) *cobra.Command {
	var s images.Subject
	var osLayout string
	var full, stated bool
	cmd := &cobra.Command{
		Use: "chain [IMAGE[@VERSION]...]", Short: short,
		Long: short + `.

Verdicts: proved (hashed or verified by this run), stated (a signed lock says so, and the bytes are not here), unknown (nobody
says), wrong (what is here is something else; exit code 1).`,
		RunE: func(cmd *cobra.Command, names []string) error {
			paths := images.Paths{State: a.state}
			signed, report, systems, err := a.known(cmd, paths, s, osLayout, stated)
			if err != nil {
				return err
			}
			if wantsOS && len(systems) == 0 {
				return errors.New("no OS lock was found; name the layout of `slipway os build` with --os, or a bundle with OS images with --layout")
			}
			return a.printChain(append(trust.OSChain(systems, signed), trust.Chain(signed, report, names...)...), full)
		},
	}
	subjectFlags(cmd, &s)
	cmd.Flags().StringVar(&s.Layout, "layout", "", "OCI layout or archive to prove (default: the published one)")
	cmd.Flags().StringVar(&osLayout, "os", "", "layout of `slipway os build`, whose OS lock is read")
	cmd.Flags().BoolVar(&full, "full", false, "print whole hashes")
	cmd.Flags().BoolVar(&stated, "stated", false, "prove no bytes; say what the lock says")
	return cmd
}

// known verifies the lock, and proves the layout unless there is none or only what is stated is wanted.
func (a *app) known(cmd *cobra.Command, paths images.Paths, s images.Subject, osLayout string, stated bool) (*trust.Signed, *trust.Report, []trust.OS, error) {
	where := s.Layout
	if where == "" {
		where = paths.Registry()
	}
	content, err := layout.Open(where)
	if errors.Is(err, fs.ErrNotExist) && s.Layout == "" {
		content, err = nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	var systems []trust.OS
	if osLayout != "" {
		o, err := layout.Open(osLayout)
		if err != nil {
			return nil, nil, nil, err
		}
		defer o.Close()
		if systems, err = images.CarriedOS(paths, s, o); err != nil {
			return nil, nil, nil, err
		}
	}
	if content == nil || stated {
		signed, err := images.SignedLock(paths, s, content)
		return signed, nil, systems, err
	}
	defer content.Close()
	if systems == nil {
		if systems, err = images.CarriedOS(paths, s, content); err != nil {
			return nil, nil, nil, err
		}
	}
	report := a.quietReporter()
	found, signed, err := images.Verify(cmd.Context(), paths, s, report)
	report.Close()
	return signed, found, systems, err
}

func (a *app) printChain(links []trust.Link, full bool) error {
	wrong := 0
	var rows [][]string
	of := ""
	for _, l := range links {
		if l.Verdict == trust.Wrong {
			wrong++
		}
		hash := l.Short()
		if full {
			hash = l.Hash
		}
		shown := l.Of
		if shown == of {
			shown = ""
		}
		of = l.Of
		rows = append(rows, []string{shown, l.What, hash, string(l.Verdict), l.Note})
	}
	if a.json() {
		if err := a.printJSON(map[string]any{"chain": links}); err != nil {
			return err
		}
	} else {
		table(a.Out, []string{"OF", "WHAT", "HASH", "KNOWN", "NOTE"}, rows)
	}
	if wrong > 0 {
		return fmt.Errorf("%d links of the chain are not what the signed lock says; `slipway images verify` names what was found", wrong)
	}
	return nil
}
