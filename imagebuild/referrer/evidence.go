package referrer

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Evidence is what is said about one platform of an image, as bytes; what is empty is left out.
type Evidence struct {
	SPDX, CycloneDX, Provenance []byte
}

// provenancePredicate is SLSA's, version 1.
const provenancePredicate = "https://slsa.dev/provenance/v1"

// Artifacts returns the evidence of a platform such as "linux/amd64" as artifacts.
func (e Evidence) Artifacts(platform string) []Artifact {
	var all []Artifact
	add := func(kind string, content []byte, more ...string) {
		if len(content) == 0 {
			return
		}
		annotations := map[string]string{AnnotationPlatform: platform}
		for i := 0; i+1 < len(more); i += 2 {
			annotations[more[i]] = more[i+1]
		}
		all = append(all, Artifact{Type: kind, Annotations: annotations, Content: content})
	}
	add(TypeSPDX, e.SPDX)
	add(TypeCycloneDX, e.CycloneDX)
	add(TypeProvenance, e.Provenance, AnnotationPredicate, provenancePredicate)
	return all
}

// AttachEvidence attaches the evidence of one platform to an image index.
func AttachEvidence(ctx context.Context, r Repository, index v1.Descriptor, platform string, e Evidence) error {
	for _, a := range e.Artifacts(platform) {
		if _, err := Attach(ctx, r, index, a); err != nil {
			return err
		}
	}
	return nil
}
