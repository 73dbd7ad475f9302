package referrer

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// listEntry returns how a manifest stands in the list of its subject's referrers, as the
// distribution specification has it; subject is empty for a manifest without one.
func listEntry(m Manifest) (entry v1.Descriptor, subject string, err error) {
	var parsed v1.Manifest
	if err := json.Unmarshal(m.Content, &parsed); err != nil {
		return entry, "", fmt.Errorf("manifest: %w", err)
	}
	if parsed.Subject == nil {
		return entry, "", nil
	}
	subject = parsed.Subject.Digest.String()
	if err := checkDigest(subject); err != nil {
		return entry, "", fmt.Errorf("subject: %w", err)
	}
	entry = m.Descriptor()
	entry.ArtifactType, entry.Annotations = parsed.ArtifactType, parsed.Annotations
	if entry.ArtifactType == "" {
		entry.ArtifactType = string(parsed.Config.MediaType)
	}
	return entry, subject, nil
}

// parseList reads a list of referrers. Entries whose digest is none are refused with the list.
func parseList(content []byte) ([]v1.Descriptor, error) {
	var list v1.IndexManifest
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("list of referrers: %w", err)
	}
	if list.MediaType != types.OCIImageIndex {
		return nil, fmt.Errorf("list of referrers: media type %q, want %q", list.MediaType, types.OCIImageIndex)
	}
	for i, d := range list.Manifests {
		if err := checkDigest(d.Digest.String()); err != nil {
			return nil, fmt.Errorf("list of referrers: manifests[%d]: %w", i, err)
		}
	}
	return list.Manifests, nil
}
