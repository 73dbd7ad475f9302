package layout

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Object is a manifest or an index, in the fields by which it leads on.
type Object struct {
	MediaType    types.MediaType // as it says itself; may be empty
	ArtifactType string
	Manifests    []v1.Descriptor // of an index
	Blobs        []v1.Descriptor // of a manifest: configuration and layers
	Subject      *v1.Descriptor
	Index        bool
	Annotations  map[string]string
}

// ParseObject reads a manifest or an index, of OCI or of Docker, whichever it is.
func ParseObject(data []byte) (*Object, error) {
	var kind struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, err
	}
	o := &Object{MediaType: kind.MediaType, Index: kind.MediaType.IsIndex() || kind.MediaType == "" && kind.Manifests != nil}
	if o.Index {
		index, err := v1.ParseIndexManifest(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		o.ArtifactType, o.Manifests, o.Subject, o.Annotations = index.ArtifactType, index.Manifests, index.Subject, index.Annotations
		return o, nil
	}
	if kind.MediaType != "" && !kind.MediaType.IsImage() {
		return nil, fmt.Errorf("media type %q is neither a manifest nor an index", kind.MediaType)
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	o.ArtifactType, o.Subject, o.Annotations = m.ArtifactType, m.Subject, m.Annotations
	o.Blobs = append([]v1.Descriptor{m.Config}, m.Layers...)
	return o, nil
}
