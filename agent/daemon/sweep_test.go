package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"slipway.build/slipway/agent/protocol"
)

func TestWhatInterruptedWritesLeftIsGoneWhereverTheAgentWrites(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	r.stop()
	var planted []string
	for _, dir := range []string{
		".", "generations", "failed", "images", "pki", "pki/client", "secrets", "state", "state/identity", "state/trust",
		"generations/1", "generations/1/files/b", "generations/1/units", "generations/1/exec", "generations/1/roots/alpha/usr/bin",
	} {
		path := filepath.Join(r.config.Root, dir, ".slipway-tmp-left-1")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		planted = append(planted, path)
	}
	r.start()
	for _, path := range planted {
		r.gone(path)
	}
}
