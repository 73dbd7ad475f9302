package join

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzConfig feeds foreign bytes as the configuration that comes with user data.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("controlPlane: https://a:9512\nca: |\n  x\nnode: n\ntoken: t\n"))
	f.Add([]byte("node: n\nbandwidth: -1\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, alone := range []bool{false, true} {
			config, err := readConfig(path, alone)
			if err != nil {
				continue
			}
			if config.Node == "" || config.Bandwidth < 0 || !alone && (config.ControlPlane == "" || config.CA == "") {
				t.Fatalf("accepted %+v", config)
			}
		}
	})
}
