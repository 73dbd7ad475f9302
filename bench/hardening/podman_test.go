package main

import (
	"os"
	"os/exec"
	"testing"
)

func TestUpstreamsContainersRunAndAreRead(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil || os.Getuid() != 0 {
		t.Skip("needs root and podman (make bench-hardening installs it)")
	}
	if err := os.Chdir("../.."); err != nil { // where make runs it
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "slipt-h-") // podman wants short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	theirs, err := podmans(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range upstreams() {
		p := theirs.processes[u.component]
		if p == nil || !p.Root() || theirs.scores[u.component] < 9 {
			t.Errorf("%s: %+v, score %.1f", u.component, p, theirs.scores[u.component])
		}
	}
	if theirs.processes["kubelet"].Caps["CapBnd"] <= theirs.processes["etcd"].Caps["CapBnd"] {
		t.Error("--privileged does not show")
	}
}
