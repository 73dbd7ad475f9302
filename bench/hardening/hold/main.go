// Command hold waits until it is told to end. It stands for a component in a container whose
// isolation is looked at: that is decided by the container's flags, not by what it does.
package main

import (
	"context"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
}
