package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/release"
)

// lockSign is for those who publish a lock by other means than slipway up.
func (a *app) lockSign(source *string) *cobra.Command {
	var key, signature string
	var add bool
	cmd := &cobra.Command{
		Use: "sign [FILE]", Short: "Sign a lock, into a file beside it, with a release key or the local one", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := valid(*source, argument(args, 0))
			if err != nil {
				return err
			}
			signer, err := signerOf(images.Paths{State: a.state}, key)
			if err != nil {
				return err
			}
			if signature == "" {
				signature = l.file + ".sig"
			}
			if err := release.Sign(l.raw, signer, signature, add); err != nil {
				return err
			}
			digest, err := l.Digest()
			if err != nil {
				return err
			}
			if a.json() {
				return a.printLine(map[string]any{"lock": digest, "number": l.Number, "signature": signature, "keyID": signer.ID(), "key": signer.Name})
			}
			kind := "the key " + signer.Name
			if key == "" {
				kind = "the local key of this machine, which is no release key,"
			}
			fmt.Fprintf(a.Out, "%s is the signature of lock %d, %s, by %s %s.\n", signature, l.Number, digest, kind, signer.ID())
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "private key that signs, in PEM (default: the local key, made on first use)")
	cmd.Flags().StringVar(&signature, "signature", "", "where the signature goes (default: beside the lock)")
	cmd.Flags().BoolVar(&add, "add", false, "keep the signatures that are there, as while keys are rotated")
	return cmd
}
