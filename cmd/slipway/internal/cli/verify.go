package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/trust"
)

// subjectFlags are the flags by which a layout, its lock and a key are named.
func subjectFlags(cmd *cobra.Command, s *images.Subject) {
	cmd.Flags().StringVar(&s.Keys, "key", "", "trusted public keys in PEM (default: the local key)")
	cmd.Flags().StringVar(&s.KeyID, "key-id", "", "believe the key that the layout carries if it has this id (sha256:…)")
	cmd.Flags().StringVar(&s.Lock, "lock", "", "the signed lock (default: the one in the layout, else the published one)")
	cmd.Flags().StringVar(&s.Signature, "signature", "", "the lock's signature (default: the lock's name and .sig)")
}

func (a *app) imagesVerify() *cobra.Command {
	var s images.Subject
	var offline bool
	var where images.Where
	cmd := &cobra.Command{
		Use: "verify [LAYOUT|ARCHIVE|REGISTRY/REPOSITORY:TAG...]", Short: "Prove every blob of an OCI layout against the signed lock, the published one by default; or check images' own signatures",
		Long: `Prove an OCI layout, a directory or a tar archive, against a signed lock: the lock's signature, then from its
digests every index, manifest, configuration and layer, what the layers unpack to, every file in them, and the evidence. No
network is used. Whatever is wrong, missing or named by nobody is a finding, and the exit code is 1. What the lock names
and the layout has nothing of is counted as absent; --complete makes that a finding, too.

Given an image's name, or --layout, check the image's own signatures in both forms instead, as slipway images sign makes them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if where.Layout != "" || len(args) > 0 && isImage(args[0]) {
				return a.verifyImages(cmd, where, s.Keys, args)
			}
			if len(args) > 1 {
				return usageError{errors.New("one layout at a time")}
			}
			if len(args) == 1 {
				s.Layout = args[0]
			}
			for _, file := range []string{s.Keys, s.Lock, s.Signature, s.Layout} {
				if file != "" {
					if _, err := os.Stat(file); err != nil {
						return usageError{err}
					}
				}
			}
			report := a.quietReporter()
			found, signed, err := images.Verify(cmd.Context(), images.Paths{State: a.state}, s, report)
			report.Close()
			if err != nil {
				return err
			}
			return a.printReport(found, signed)
		},
	}
	subjectFlags(cmd, &s)
	whereFlags(cmd, &where)
	cmd.Flags().BoolVar(&offline, "offline", false, "use no network; this is always so, and said for scripts that want to say it")
	cmd.Flags().StringSliceVar(&s.Platforms, "platform", nil, "prove these platforms only, such as linux/amd64")
	cmd.Flags().BoolVar(&s.Complete, "complete", false, "demand everything that the lock names")
	return cmd
}

// printReport prints what a verification found; findings are an error.
func (a *app) printReport(r *trust.Report, signed *trust.Signed) error {
	failed := func() error {
		if r.Proved() {
			return nil
		}
		return fmt.Errorf("%s is not what the signed lock says: %d findings", r.Layout, len(r.Findings))
	}
	if a.json() {
		if err := a.printJSON(r); err != nil {
			return err
		}
		return failed()
	}
	fmt.Fprintf(a.Out, "lock %d  %s\nsigned by %s\n", r.Number, r.Lock, r.Key)
	for _, f := range r.Findings {
		fmt.Fprintln(a.Out, "  "+f.String())
	}
	for _, what := range r.Absent {
		fmt.Fprintln(a.Out, "  absent: "+what)
	}
	if len(r.Others) > 0 {
		fmt.Fprintf(a.Out, "  %d blobs of other locks\n", len(r.Others))
	}
	unlocked := 0
	for _, at := range r.Attached {
		if !at.Locked && at.Type != trust.LockArtifact {
			unlocked++
		}
	}
	if unlocked > 0 {
		fmt.Fprintf(a.Out, "  %d attachments are named by no lock, as signatures are: their bytes hold, and `slipway images verify --layout` checks what they sign\n", unlocked)
	}
	if r.Proved() {
		fmt.Fprintf(a.Out, "The lock's signature holds, and so do %d blobs of %.1f MiB: %d images with %d files of %.1f MiB, %d attachments.\n",
			r.Blobs, mib(r.Bytes), r.Images, r.Files, mib(r.Unpacked), len(r.Attached))
	}
	return failed()
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
