package network_test

import (
	"testing"

	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

// BenchmarkPlug measures connecting a port to a fresh namespace.
func BenchmarkPlug(b *testing.B) {
	s := newSite(b)
	l := s.lan()
	p := s.create("Port", map[string]any{"network": l.net.Physical, "subnet": l.subnet.Physical})
	const netns = prefix + "-srv-plug"
	for b.Loop() {
		b.StopTimer()
		if err := s.Unplug(b.Context(), p.Physical); err != nil {
			b.Fatal(err)
		}
		if err := namespace.Delete(netns); err != nil {
			b.Fatal(err)
		}
		if _, err := namespace.Ensure(netns); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := s.Plug(b.Context(), p.Physical, netns); err != nil {
			b.Fatal(err)
		}
	}
}
