package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

// options are the flags.
type options struct {
	Address   string
	Layout    string
	Digest    digest.Digest
	Reference string
	Timeout   time.Duration
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "slipway-import: %v\n", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "slipway-import: %s: %v\n", o.Reference, err)
		os.Exit(exitFailed)
	}
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	var wanted string
	set := flag.NewFlagSet("slipway-import", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&o.Address, "address", "/run/containerd/containerd.sock", "containerd's `socket`")
	set.StringVar(&o.Layout, "layout", "", "`directory` of the image's OCI layout")
	set.StringVar(&wanted, "digest", "", "`digest` of the image's manifest in the layout")
	set.StringVar(&o.Reference, "reference", "", "`name@digest` that pods call the image by")
	set.DurationVar(&o.Timeout, "timeout", time.Minute, "give up after this time")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if o.Layout == "" {
		return o, errors.New("--layout is missing")
	}
	var err error
	if o.Digest, err = digest.Parse(wanted); err != nil || o.Digest.Algorithm() != digest.SHA256 {
		return o, fmt.Errorf("--digest: %q is no sha256 digest", wanted)
	}
	// A tag says nothing about content, and a reference with another digest would be a lie.
	name, named, ok := strings.Cut(o.Reference, "@")
	if !ok || name == "" || named != o.Digest.String() || strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		return o, fmt.Errorf("--reference: %q is no name@%s without a tag", o.Reference, o.Digest)
	}
	return o, nil
}
