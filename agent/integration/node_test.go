package integration

import (
	"context"
	"os"
	"testing"
	"time"

	"slipway.build/slipway/test/testnode"
)

// user is what the first component runs as.
const (
	user   = "slipt-alpha"
	userID = 991
)

// node is a booted container with the agent in it, of which a test demands that all goes well.
type node struct {
	*testnode.Node
	t   *testing.T
	ctx context.Context
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) write(name, content string, mode os.FileMode) {
	n.t.Helper()
	must(n.t, n.Write(name, content, mode))
}

func (n *node) link(target, name string) {
	n.t.Helper()
	must(n.t, n.Link(target, name))
}

func (n *node) boot() {
	n.t.Helper()
	must(n.t, n.Boot())
}

func (n *node) powerOff() {
	n.t.Helper()
	must(n.t, n.PowerOff())
}

// try runs a command in the container.
func (n *node) try(args ...string) (string, error) { return n.Do(n.ctx, args...) }

// do runs a command in the container that has to succeed.
func (n *node) do(args ...string) string {
	n.t.Helper()
	out, err := n.try(args...)
	must(n.t, err)
	return out
}

// show returns a property of a unit.
func (n *node) show(unit, property string) string {
	n.t.Helper()
	return n.do("systemctl", "show", "--value", "--property="+property, unit)
}

// eventually waits until a condition on the node holds.
func (n *node) eventually(what string, holds func() bool) {
	n.t.Helper()
	const limit = 4 * time.Minute
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("not within %s: %s\n%s", limit, what, n.journal())
		}
	}
}

func (n *node) journal() string { return n.Journal(n.ctx, 60) }
