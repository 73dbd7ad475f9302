package pull

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"slipway.build/slipway/agent/fault"
)

// Bounds of the small objects; our own are below 4 KiB.
const (
	maxManifest = 1 << 20
	maxConfig   = 4 << 20
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

// fetchChecked fetches an object by digest from the registries in order. One that answers with
// other bytes is passed over while there are others; if none has the right bytes, the error is
// terminal and names both digests.
func fetchChecked(ctx context.Context, registries []registry, path, digest string, limit int64, accept string) ([]byte, error) {
	waits := newBackoff()
	for {
		var refused, failed error
		for _, registry := range registries {
			raw, err := registry.fetchSmall(ctx, path, limit, accept)
			if err == nil {
				found := digestOf(raw)
				if found == digest {
					return raw, nil
				}
				err = fault.Terminalf("expected digest %s, found %s", digest, found)
			}
			if fault.IsTerminal(err) {
				refused = err
			} else {
				failed = err
			}
		}
		if failed == nil {
			return nil, refused
		}
		if err := waits.Wait(ctx); err != nil {
			if refused != nil {
				return nil, refused
			}
			return nil, fault.Retriablef("gave up: %w (last: %w)", err, failed)
		}
	}
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
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
