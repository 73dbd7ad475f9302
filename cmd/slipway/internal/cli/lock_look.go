package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/cmd/slipway/internal/nodeplan"
	"slipway.build/slipway/cmd/slipway/internal/worktree"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/release"
)

// looked is a lock that was read to be looked at, with its bytes.
type looked struct {
	*lock.Lock
	file string
	raw  []byte
}

// look reads the lock in a file, the clone's when none is named. It need not be valid.
func look(source, file string) (*looked, error) {
	if file == "" {
		tree, err := worktree.Find(source)
		if err != nil {
			return nil, usageError{err}
		}
		file = tree.Lock()
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	l, err := lock.Parse(file, raw)
	if err != nil {
		return nil, err
	}
	return &looked{l, file, raw}, nil
}

// valid is look for a lock that must be valid.
func valid(source, file string) (*looked, error) {
	l, err := look(source, file)
	if err != nil {
		return nil, err
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", l.file, err)
	}
	return l, nil
}

// signatureFlags are where a lock's signature and the keys that are trusted are read.
type signatureFlags struct{ signature, key string }

func (f *signatureFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.signature, "signature", "", "the lock's detached signature (default: beside it, or the one published on this machine)")
	cmd.Flags().StringVar(&f.key, "key", "", "trusted public keys in PEM (default: the local key)")
}

// of reads the signature of a lock. A signature is over the canonical bytes, so the one that was
// published on this machine counts for the committed file too, as long as both say the same.
func (f *signatureFlags) of(a *app, l *looked) release.Signature {
	paths := images.Paths{State: a.state}
	file, key := f.signature, f.key
	if key == "" {
		key = paths.PublicKey()
	}
	if file == "" {
		file = l.file + ".sig"
		if _, err := os.Stat(file); err != nil {
			if s := release.ReadSignature(l.raw, paths.Signature(), key); s.Problem == "" {
				return s
			}
		}
	}
	return release.ReadSignature(l.raw, file, key)
}

func (a *app) lockCheck(source *string) *cobra.Command {
	var from string
	var signed signatureFlags
	var rules bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Fail on anything in a lock that is unpinned, unbuilt, unsigned, past support or that breaks a rule of versions", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if rules {
				return a.printRules()
			}
			l, err := look(*source, argument(args, 0))
			if err != nil {
				return err
			}
			s := release.Subject{Lock: l.Lock, Now: a.Now(), Signature: signed.of(a, l)}
			if from != "" {
				before, err := look(*source, from)
				if err != nil {
					return err
				}
				s.From = before.Lock
			}
			report, err := release.Check(s)
			if err != nil {
				return err
			}
			if err := a.printFindings(report); err != nil {
				return err
			}
			if n := len(report.Findings); n > 0 {
				return fmt.Errorf("%s: findings: %d", l.file, n)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the lock that clusters are on, to check the step from there too")
	cmd.Flags().BoolVar(&rules, "rules", false, "list the rules and check nothing")
	signed.add(cmd)
	return cmd
}

func (a *app) printRules() error {
	if a.json() {
		return a.printLine(map[string]any{"rules": release.Rules()})
	}
	var rows [][]string
	for _, r := range release.Rules() {
		bends := "yes"
		if r.Binding {
			bends = "no"
		}
		rows = append(rows, []string{r.Name, bends, r.About})
	}
	table(a.Out, []string{"RULE", "ACCEPTABLE", "HOLDS WHEN"}, rows)
	return nil
}

func (a *app) printFindings(r *release.Report) error {
	if a.json() {
		return a.printLine(r)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(a.Out, f)
	}
	for _, f := range r.Accepted {
		fmt.Fprintln(a.Out, "accepted: "+f.String())
	}
	if r.Good() {
		fmt.Fprintf(a.Out, "Lock %d, %s, holds against all %d rules.\n", r.Number, r.Digest, len(r.Rules))
	}
	return nil
}

func (a *app) lockDiff(source *string) *cobra.Command {
	var way nodeplan.Way
	cmd := &cobra.Command{
		Use: "diff FROM [TO]", Short: "Say what a node between two locks fetches and restarts; TO is the clone's lock when none is named", Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			from, err := valid(*source, args[0])
			if err != nil {
				return err
			}
			to, err := valid(*source, argument(args, 1))
			if err != nil {
				return err
			}
			delta, err := release.Diff(from.Lock, to.Lock)
			if err != nil {
				return err
			}
			way.From, way.To = from.Lock, to.Lock
			if delta.Nodes, err = nodeplan.Deltas(way); err != nil {
				if way.FromVersion != "" || way.ToVersion != "" {
					return fmt.Errorf("what nodes do between the two: %w", err)
				}
				delta.Unknown = err.Error()
			}
			if a.json() {
				return a.printLine(delta)
			}
			return delta.WriteText(a.Out)
		},
	}
	cmd.Flags().StringVar(&way.FromVersion, "from-kubernetes", "", "Kubernetes version of the cluster under FROM (default: its newest)")
	cmd.Flags().StringVar(&way.ToVersion, "to-kubernetes", "", "Kubernetes version of the cluster under TO (default: its newest)")
	cmd.Flags().StringVar(&way.Platform, "platform", "linux/amd64", "platform of the nodes")
	return cmd
}

func (a *app) lockExplain(source *string) *cobra.Command {
	var file string
	var signed signatureFlags
	cmd := &cobra.Command{
		Use: "explain IMAGE[@VERSION]...", Short: "Tell where every byte of an image comes from", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := valid(*source, file)
			if err != nil {
				return err
			}
			signature := signed.of(a, l)
			var all []release.Explanation
			for _, name := range args {
				some, err := release.Explain(l.Lock, signature, name)
				if err != nil {
					return err
				}
				all = append(all, some...)
			}
			if a.json() {
				return a.printLine(map[string]any{"images": all})
			}
			for i := range all {
				if err := all[i].WriteText(a.Out); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "lock", "", "the lock (default: images.yaml of the clone)")
	signed.add(cmd)
	return cmd
}

func (a *app) lockSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of locks", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := release.Schema()
			if err != nil {
				return err
			}
			_, err = a.Out.Write(text)
			return err
		},
	}
}

// argument is the n-th argument, or nothing.
func argument(args []string, n int) string {
	if n < len(args) {
		return args[n]
	}
	return ""
}
