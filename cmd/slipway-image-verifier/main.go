// Command slipway-image-verifier tells containerd whether pods may use an image: a program of its
// image-verifier plugin (io.containerd.image-verifier.v1.bindir).
//
//	slipway-image-verifier -name NAME -digest sha256:… -stdin-media-type application/vnd.oci.descriptor.v1+json < descriptor
//
// Exit status 0: allowed; 1: refused, or it could not be told; 2: usage, which containerd takes for a refusal, too. Standard
// output has the reason.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"slipway.build/slipway/imagebuild/verifier"
)

// Exit statuses.
const (
	allowed = iota
	refused
	usage
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

func run(args []string, stdin io.Reader, stdout io.Writer) int {
	var r verifier.Request
	n := verifier.ThisNode()
	flags := flag.NewFlagSet("slipway-image-verifier", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.StringVar(&r.Name, "name", "", "name of the image")
	flags.StringVar(&r.Digest, "digest", "", "digest that it leads to")
	flags.StringVar(&r.MediaType, "stdin-media-type", "", "what is on standard input")
	flags.StringVar(&n.Trust, "trust", n.Trust, "directory of the trusted keys")
	flags.StringVar(&n.Lock, "lock", n.Lock, "directory of the baked lock")
	flags.StringVar(&n.Statement, "lock-keys", n.Statement, "statement of lock keys in force")
	flags.StringVar(&n.Delivery, "delivery", n.Delivery, "delivery of the current generation")
	flags.Func("policy", "policy, in place of the plan's and the node's own", func(file string) error {
		n.Policies = []string{file}
		return nil
	})
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stdout, "refused: the arguments are not those of containerd's image verifiers")
		}
		return usage
	}
	reason, err := judge(r, n, stdin)
	if err != nil {
		fmt.Fprintln(stdout, "refused:", err)
		return refused
	}
	fmt.Fprintln(stdout, reason)
	return allowed
}

func judge(r verifier.Request, n verifier.Node, stdin io.Reader) (string, error) {
	if err := r.Check(stdin); err != nil {
		return "", err
	}
	v, err := n.Load()
	if err != nil {
		return "", err
	}
	return v.Judge(r.Name, r.Digest)
}
