package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

// imagesKeys says which keys count for which locks, beside those that are baked into the OS layer.
func (a *app) imagesKeys() *cobra.Command {
	var add, key, baked string
	var from int64
	var until []string
	cmd := &cobra.Command{
		Use: "keys", Short: "Show which further keys sign locks; with --add or --until issue the next statement about them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			paths := images.Paths{State: a.state}
			if add == "" && len(until) == 0 {
				s, err := images.Statement(paths)
				if err != nil {
					return err
				}
				return a.printKeys(s)
			}
			change := images.KeyChange{From: from, Until: map[string]int64{}}
			for _, text := range until {
				id, number, ok := strings.Cut(text, "=")
				n, err := strconv.ParseInt(number, 10, 64)
				if !ok || err != nil {
					return usageError{fmt.Errorf("--until %s: want KEYID=LOCKNUMBER", text)}
				}
				change.Until[id] = n
			}
			var err error
			if add != "" {
				if change.Add, err = os.ReadFile(add); err != nil {
					return usageError{err}
				}
			}
			signer, err := signerOf(paths, key)
			if err != nil {
				return err
			}
			if baked == "" {
				baked = paths.PublicKey()
			}
			trusted, err := os.ReadFile(baked)
			if err != nil {
				return fmt.Errorf("the keys in the OS layer: %w", err)
			}
			s, err := images.IssueKeys(paths, signer, trusted, change, time.Now())
			if err != nil {
				return err
			}
			return a.printKeys(s)
		},
	}
	cmd.Flags().StringVar(&add, "add", "", "file with public keys (PEM) that may sign locks from now on")
	cmd.Flags().Int64Var(&from, "from", 0, "first lock number that the added keys count for (0: all)")
	cmd.Flags().StringArrayVar(&until, "until", nil, "KEYID=LOCKNUMBER: the key counts for no lock above that number; may be repeated")
	cmd.Flags().StringVar(&key, "key", "", "private key that signs the statement (default: the local key)")
	cmd.Flags().StringVar(&baked, "baked", "", "public keys in the OS layer of the nodes (default: the local key)")
	return cmd
}

func signerOf(paths images.Paths, file string) (*sign.Key, error) {
	if file != "" {
		return sign.ReadKey(file)
	}
	return sign.LocalKey(paths.Keys())
}

func (a *app) printKeys(s *lock.KeyStatement) error {
	if a.json() {
		return a.printLine(map[string]any{"statement": s})
	}
	if s == nil {
		fmt.Fprintln(a.Out, "No statement was issued: the keys in the OS layer sign locks, and no others.")
		return nil
	}
	fmt.Fprintf(a.Out, "Statement %d of %s; slipwayd delivers it to all nodes.\n", s.Number, s.Issued)
	var rows [][]string
	for _, k := range s.Keys {
		origin := "baked into the OS layer"
		if k.Public != "" {
			origin = "added"
		}
		last := "any"
		if k.Until > 0 {
			last = strconv.FormatInt(k.Until, 10)
		}
		rows = append(rows, []string{k.ID, origin, strconv.FormatInt(max(k.From, 1), 10), last})
	}
	table(a.Out, []string{"KEY", "ORIGIN", "FROM LOCK", "UNTIL LOCK"}, rows)
	return nil
}
