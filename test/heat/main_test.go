//go:build heat

package heat

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// inside is set in the environment of the container.
const inside = "SLIPT_HEAT_INSIDE"

// TestMain runs the tests in a container: outside it makes the container's tree and starts this
// program again in it; inside it starts the cloud.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "heat:", err)
		status = 1
	}
	stop()
	os.Exit(status)
}

func run(ctx context.Context, m *testing.M) (int, error) {
	if os.Getenv(inside) == "" {
		tree, err := makeTree(ctx)
		if err != nil {
			return 1, err
		}
		return enter(ctx, tree)
	}
	stop, err := startCloud(ctx)
	defer stop()
	if err != nil {
		return 1, err
	}
	say("Keystone and Heat answer")
	return m.Run(), nil
}

// say prints a line of progress.
func say(format string, a ...any) { fmt.Printf("heat: "+format+"\n", a...) }
