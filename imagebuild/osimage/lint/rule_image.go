package lint

import (
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Limits of containers/storage on a node, and where its room gets scarce for layers on top.
const (
	maxLayers  = 500
	warnLayers = 480
)

// finalDiffID names the last layer of an encapsulated commit.
const finalDiffID = "ostree.final-diffid"

// encapsulated says whether the image holds an ostree commit.
func (s *Subject) encapsulated() bool {
	return s.Image != nil && s.Image.Config.Config.Labels[finalDiffID] != ""
}

// layerType: ostree-ext's unencapsulate.rs ends with "Unhandled layer type".
func layerType(s *Subject, found func(Finding)) {
	if s.Image == nil {
		return
	}
	known := []types.MediaType{types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd, types.DockerLayer, types.DockerUncompressedLayer}
	for n, l := range s.Image.Manifest.Layers {
		if !slices.Contains(known, l.MediaType) {
			found(Finding{Severity: Error, Layer: n + 1, Happens: fmt.Sprintf("the importer knows no layers of type %q", l.MediaType),
				Do: "pack it as tar, tar+gzip or tar+zstd"})
		}
	}
}

// ostreeLayers: the commit's last layer is found by the place of its diff ID.
func ostreeLayers(s *Subject, found func(Finding)) {
	if s.Image == nil {
		return
	}
	diffIDs := s.Image.Config.RootFS.DiffIDs
	if len(diffIDs) != len(s.Image.Manifest.Layers) {
		found(of(Error, fmt.Sprintf("there are %d layers and %d diff IDs; the importer finds one by the other's place", len(s.Image.Manifest.Layers), len(diffIDs)),
			"append a layer to manifest and configuration alike"))
	}
	want := s.Image.Config.Config.Labels[finalDiffID]
	if want == "" {
		return
	}
	for n, id := range diffIDs {
		if id.String() != want {
			continue
		}
		if n == len(diffIDs)-1 {
			found(of(Warning, "all layers are of the encapsulated commit: nothing is derived from it", "append the layer behind the commit's"))
		}
		return
	}
	found(of(Error, "the label "+finalDiffID+" names none of the layers, and the importer stops", "keep the base's layers and labels as they are"))
}

// layerLimit: containers/storage has a limit that no setting moves.
func layerLimit(s *Subject, found func(Finding)) {
	if s.Image == nil {
		return
	}
	switch n := len(s.Image.Manifest.Layers); {
	case n > maxLayers:
		found(of(Error, fmt.Sprintf("a node can hold %d layers, and these are %d", maxLayers, n), "put what is on top of the base into one layer"))
	case n > warnLayers:
		found(of(Warning, fmt.Sprintf("a node can hold %d layers, and these are %d: there is room for %d more", maxLayers, n, maxLayers-n), "put what is on top of the base into one layer"))
	}
}

// signatureForms: rpm-ostree and bootc see signatures at the tag sha256-<hex>.sig alone (rpm-ostree issue 5509).
func signatureForms(s *Subject, found func(Finding)) {
	if s.Image == nil || !s.Image.Signatures {
		return
	}
	switch {
	case s.Image.SimpleSigned && s.Image.Bundle:
	case s.Image.SimpleSigned:
		found(of(Warning, "cosign 3, Talos and policy controllers look for a bundle, and take the image for unsigned", "sign it in both forms"))
	case s.Image.Bundle:
		found(of(Error, "rpm-ostree, bootc and podman do not see a bundle, and refuse the image as unsigned", "sign it in the legacy simple-signing form, too"))
	default:
		found(of(Error, "a node whose policy asks for a signature refuses the image", "sign it in the legacy simple-signing form, and as a bundle"))
	}
}
