package namespace_test

import (
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

const name = "sliptns-1"

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	clear := func() {
		if err := namespace.Delete(name); err != nil {
			t.Error(err)
		}
	}
	clear()
	t.Cleanup(clear)
}

func TestANamespaceHasNoLinkOfTheHost(t *testing.T) {
	needRoot(t)
	for i, want := range []bool{true, false} {
		made, err := namespace.Ensure(name)
		if err != nil || made != want {
			t.Fatalf("call %d: made %v, %v", i, made, err)
		}
	}
	before := inode(t)
	err := namespace.Do(name, func() error {
		links, err := net.Interfaces()
		if len(links) != 1 {
			t.Errorf("got links %v, want lo alone", links)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if inode(t) != before {
		t.Error("the test's thread is in another namespace than before")
	}
}

func TestAnInterruptedEnsureIsRepaired(t *testing.T) {
	needRoot(t)
	if err := os.WriteFile(namespace.Path(name), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if namespace.Exists(name) {
		t.Error("an empty file counts as a namespace")
	}
	if made, err := namespace.Ensure(name); err != nil || !made {
		t.Errorf("made %v, %v", made, err)
	}
}

func TestErrorsOfTheFunctionAreReturned(t *testing.T) {
	needRoot(t)
	if _, err := namespace.Ensure(name); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := namespace.Do(name, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := namespace.Do("sliptns-missing", func() error { return nil }); err == nil {
		t.Error("entered a namespace that is not there")
	}
}

func inode(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}
