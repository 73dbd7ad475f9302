package pull

import (
	"encoding/json"

	"slipway.build/slipway/agent/fault"
)

// Bounds of the small objects; our own are below 4 KiB.
const (
	maxManifest = 1 << 20
	maxConfig   = 4 << 20
)

// Media types of manifests that are accepted (OCI image-spec 1.1 and Docker's schema 2).
const (
	mediaManifest       = "application/vnd.oci.image.manifest.v1+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaIndex          = "application/vnd.oci.image.index.v1+json"
	mediaDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// descriptor is OCI's, as far as it matters here.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// manifest is OCI's image manifest and Docker's schema 2, which agree in these fields.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// imageConfig is the part of an image's configuration that the lock speaks about.
type imageConfig struct {
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseIndex checks that an index whose digest is checked leads to the manifest.
func parseIndex(raw []byte, want Want) error {
	var index struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return fault.Terminalf("index %s: not JSON: %w", want.Index, err)
	}
	for _, manifest := range index.Manifests {
		if manifest.Digest == want.Manifest {
			return nil
		}
	}
	return fault.Terminalf("index %s: manifest %s of the signed lock is not in it", want.Index, want.Manifest)
}

// parseManifest reads a manifest whose digest is checked and compares it with the lock.
func parseManifest(raw []byte, want Want) (*manifest, error) {
	m := new(manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fault.Terminalf("manifest %s: not JSON: %w", want.Manifest, err)
	}
	if m.SchemaVersion != 2 || (m.MediaType != "" && m.MediaType != mediaManifest && m.MediaType != mediaDockerManifest) {
		return nil, fault.Terminalf("manifest %s: schema %d of media type %q is no image manifest", want.Manifest, m.SchemaVersion, m.MediaType)
	}
	if m.Config.Digest != want.Locked.Config {
		return nil, fault.Terminalf("manifest %s: expected configuration %s by the signed lock, found %s", want.Manifest, want.Locked.Config, m.Config.Digest)
	}
	if m.Config.Size < 0 || m.Config.Size > maxConfig {
		return nil, fault.Terminalf("manifest %s: configuration of %d bytes", want.Manifest, m.Config.Size)
	}
	if len(m.Layers) != len(want.Locked.Layers) {
		return nil, fault.Terminalf("manifest %s: expected %d layers by the signed lock, found %d", want.Manifest, len(want.Locked.Layers), len(m.Layers))
	}
	for i, layer := range m.Layers {
		locked := want.Locked.Layers[i]
		if layer.Digest != locked.Digest || layer.Size != locked.Size {
			return nil, fault.Terminalf("manifest %s: layer %d: expected %s of %d bytes by the signed lock, found %s of %d", want.Manifest, i+1, locked.Digest, locked.Size, layer.Digest, layer.Size)
		}
	}
	return m, nil
}

// checkConfig compares the configuration's diff IDs with the lock's.
func checkConfig(raw []byte, want Want) error {
	var config imageConfig
	if err := json.Unmarshal(raw, &config); err != nil {
		return fault.Terminalf("configuration %s: not JSON: %w", want.Locked.Config, err)
	}
	if len(config.RootFS.DiffIDs) != len(want.Locked.Layers) {
		return fault.Terminalf("configuration %s: expected %d diff IDs by the signed lock, found %d", want.Locked.Config, len(want.Locked.Layers), len(config.RootFS.DiffIDs))
	}
	for i, found := range config.RootFS.DiffIDs {
		if expected := want.Locked.Layers[i].DiffID; found != expected {
			return fault.Terminalf("configuration %s: layer %d: expected diff ID %s by the signed lock, found %s", want.Locked.Config, i+1, expected, found)
		}
	}
	return nil
}
