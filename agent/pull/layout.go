package pull

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// blob is where a kept blob goes.
func (f *fetch) blob(digest string) string {
	return filepath.Join(f.blobs, strings.TrimPrefix(digest, "sha256:"))
}

// layout writes the OCI layout's index and the manifest where a layout is wanted. The index names
// the manifest and nothing else.
func (f *fetch) layout(rawManifest []byte, m *manifest) error {
	if !f.Layout {
		return nil
	}
	base := filepath.Join(f.dir, layoutDir)
	f.blobs = filepath.Join(base, "blobs", "sha256")
	if err := os.MkdirAll(f.blobs, 0o755); err != nil {
		return err
	}
	media := m.MediaType
	if media == "" {
		media = mediaManifest
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     mediaIndex,
		"manifests":     []descriptor{{MediaType: media, Digest: f.Manifest, Size: int64(len(rawManifest))}},
	})
	if err != nil {
		return err
	}
	for name, raw := range map[string][]byte{
		filepath.Join(base, "oci-layout"): []byte(`{"imageLayoutVersion":"1.0.0"}`),
		filepath.Join(base, "index.json"): index,
		f.blob(f.Manifest):                rawManifest,
	} {
		if err := writeNew(name, raw); err != nil {
			return err
		}
	}
	return nil
}
