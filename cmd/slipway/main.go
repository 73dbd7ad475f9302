// Command slipway is the operator's command: it brings the whole system up on this machine
// and speaks to slipwayd's Magnum API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"slipway.build/slipway/cmd/slipway/internal/cli"
)

func main() {
	syscall.Umask(0o022) // whatever the caller's: what is made for nodes is read by their users
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
