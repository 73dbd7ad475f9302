package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// resolve picks the one image of an index for linux and an architecture. Of several (compressions of the same
// image), the first is everybody's.
func resolve(raw []byte, architecture string) (v1.Descriptor, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("index: %w", err)
	}
	var there []string
	for _, d := range index.Manifests {
		if d.Platform == nil {
			continue
		}
		if d.Platform.OS == "linux" && d.Platform.Architecture == architecture {
			return d, nil
		}
		there = append(there, d.Platform.String())
	}
	if len(there) == 0 {
		there = []string{"none that names its platform"}
	}
	return v1.Descriptor{}, fmt.Errorf("the index has no image for linux/%s; it has %s", architecture, strings.Join(there, ", "))
}

// index is the index.json of a layout that is being written. What this program does not know of it is kept.
type index struct {
	top       map[string]json.RawMessage
	manifests []json.RawMessage
}

func newIndex() *index {
	return &index{top: map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + types.OCIImageIndex + `"`)}}
}

func readIndex(l *ocilayout.Layout) (*index, error) {
	raw, err := l.RawIndex()
	if err != nil {
		return nil, err
	}
	if _, err := v1.ParseIndexManifest(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	i := newIndex()
	if err := json.Unmarshal(raw, &i.top); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if list := i.top["manifests"]; list != nil {
		if err := json.Unmarshal(list, &i.manifests); err != nil {
			return nil, fmt.Errorf("index.json: manifests: %w", err)
		}
	}
	return i, nil
}

// add names an image. One of the same digest is replaced, and a name that another one has goes to this one.
func (i *index) add(image v1.Image, tag string) error {
	desc, err := partial.Descriptor(image)
	if err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	if config, err := image.ConfigFile(); err == nil && config.OS != "" {
		desc.Platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	}
	desc.ArtifactType = manifest.ArtifactType
	if tag != "" {
		desc.Annotations = map[string]string{ocilayout.RefName: tag}
	}
	raw, err := json.Marshal(desc)
	if err != nil {
		return err
	}
	var keep []json.RawMessage
	for _, m := range i.manifests {
		var d v1.Descriptor
		if err := json.Unmarshal(m, &d); err != nil {
			return fmt.Errorf("index.json: %w", err)
		}
		if d.Digest == desc.Digest || tag != "" && d.Annotations[ocilayout.RefName] == tag {
			continue
		}
		keep = append(keep, m)
	}
	i.manifests = append(keep, raw)
	return nil
}

func (i *index) write(dir string) error {
	list, err := json.Marshal(i.manifests)
	if err != nil {
		return err
	}
	i.top["manifests"] = list
	text, err := json.MarshalIndent(i.top, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, "index.json"), append(text, '\n'), 0o644)
}
