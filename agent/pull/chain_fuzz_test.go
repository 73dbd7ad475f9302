package pull

import (
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// FuzzManifest feeds foreign bytes to the parsers of index, manifest and configuration. What they
// accept must be what the lock says.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"c","size":1},"layers":[{"digest":"l","size":2}]}`))
	f.Add([]byte(`{"rootfs":{"diff_ids":["d"]}}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"m","size":1},{"digest":"n"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		want := Want{Index: "i", Manifest: "m", Locked: &lock.Platform{Config: "c", Layers: []lock.Layer{{Digest: "l", DiffID: "d", Size: 2}}}}
		m, err := parseManifest(raw, want)
		if err == nil && (m.Config.Digest != "c" || len(m.Layers) != 1 || m.Layers[0].Digest != "l" || m.Layers[0].Size != 2) {
			t.Errorf("accepted %+v", m)
		}
		_ = parseIndex(raw, want)
		_ = checkConfig(raw, want)
	})
}
