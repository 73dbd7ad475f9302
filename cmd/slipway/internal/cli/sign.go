package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/lock"
)

func whereFlags(cmd *cobra.Command, w *images.Where) {
	cmd.Flags().StringVar(&w.Layout, "layout", "", "the images are in this OCI layout; all of them when none is named")
	cmd.Flags().StringVar(&w.Registry, "registry", "", "where the layout is published: signatures name it before the repository")
	cmd.Flags().StringVar(&w.Identity, "identity", "", "repository that the signature names, if the image is somewhere else, as in a mirror")
	cmd.Flags().BoolVar(&w.PlainHTTP, "plain-http", false, "speak to the registry without TLS; one on loopback is spoken to so anyway")
}

// imagesSign signs images where they are.
func (a *app) imagesSign() *cobra.Command {
	var where images.Where
	var key, lockFile string
	cmd := &cobra.Command{
		Use: "sign [REGISTRY/REPOSITORY:TAG...]", Short: "Sign images in a registry or a layout, for podman and rpm-ostree and for cosign",
		Long: `Sign images in both forms that are in use: simple signing at the tag sha256-<hex>.sig, which podman, skopeo,
rpm-ostree and bootc read, and a sigstore bundle beside the image, which cosign 3 reads. An index is signed with every manifest
in it. The key is a file (PEM, PKCS #8 or SEC 1, P-256, not encrypted), or the local one, made on first use. With --lock the
provenance that the lock names is signed, too. Nothing is sent anywhere but to the registry of the image.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, err := where.Targets(args)
			if err != nil {
				return usageError{err}
			}
			paths := images.Paths{State: a.state}
			signer, err := signerOf(paths, key)
			if err != nil {
				return err
			}
			var l *lock.Lock
			if lockFile != "" {
				if l, err = images.LockSignedBy(lockFile, signer); err != nil {
					return err
				}
			}
			report := a.quietReporter()
			done, err := images.SignImages(cmd.Context(), signer, targets, l, report)
			report.Close()
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{"key": signer.ID(), "images": done})
			}
			for _, s := range done {
				fmt.Fprintf(a.Out, "%s: %d digests signed, %s the index or the image itself; %d statements of provenance\n", s.Image, len(s.Digests), s.Digests[0], s.Provenance)
			}
			fmt.Fprintf(a.Out, "Signed with the key %s (%s).\n", signer.ID(), signer.Name)
			return nil
		},
	}
	whereFlags(cmd, &where)
	cmd.Flags().StringVar(&key, "key", "", "private key that signs (default: the local one)")
	cmd.Flags().StringVar(&lockFile, "lock", "", "lock, signed by the same key, whose provenance is signed, too")
	return cmd
}

// isImage tells an image's name from a layout's path: it names a registry, and a tag or a digest,
// and there is no such file.
func isImage(arg string) bool {
	if _, err := os.Stat(arg); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	repository, _, ok := images.SplitReference(arg)
	host, _, path := strings.Cut(repository, "/")
	return ok && path && (strings.ContainsAny(host, ".:") || host == "localhost") && !strings.HasPrefix(host, ".")
}

// verifyImages verifies the signatures of images.
func (a *app) verifyImages(cmd *cobra.Command, where images.Where, key string, args []string) error {
	targets, err := where.Targets(args)
	if err != nil {
		return usageError{err}
	}
	if key == "" {
		key = images.Paths{State: a.state}.PublicKey()
	}
	keys, err := images.PublicKeys(key)
	if err != nil {
		return err
	}
	report := a.quietReporter()
	found, err := images.VerifyImages(cmd.Context(), keys, targets, report)
	report.Close()
	if a.json() {
		return errors.Join(a.printJSON(map[string]any{"images": found}), err)
	}
	var rows [][]string
	for _, s := range found {
		for _, g := range s.Signatures {
			rows = append(rows, []string{s.Image, g.Image, g.Form, g.Key})
		}
	}
	table(a.Out, []string{"IMAGE", "DIGEST", "FORM", "SIGNED BY"}, rows)
	return err
}
