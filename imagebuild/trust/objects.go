package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
)

// read returns a small blob whose digest holds; as, with its kind filled in, is the finding when it does not,
// and nil is returned then.
func (v *verification) read(as Finding) ([]byte, error) {
	data, err := v.content.ReadBlob(as.Blob)
	var wrong *layout.DigestError
	switch {
	case err == nil:
		v.report.Blobs++
		v.report.Bytes += int64(len(data))
		return data, nil
	case gone(err):
		as.Kind = Missing
	case errors.As(err, &wrong):
		as.Kind, as.Expected, as.Found = WrongDigest, wrong.Expected, wrong.Found
	case fault.IsTerminal(err):
		as.Kind, as.Found = Unreadable, err.Error()
	default:
		return nil, err
	}
	v.find(as)
	return nil, nil
}

// manifest checks a form's manifest and its configuration.
func (v *verification) manifest(f form) error {
	bad := f.finding(Contradiction, f.part("manifest"), f.manifest)
	data, err := v.read(bad)
	if err != nil {
		return err
	}
	if data != nil {
		if f.size != 0 && int64(len(data)) != f.size {
			v.contradict(bad, fmt.Sprint(f.size, " bytes"), fmt.Sprint(len(data), " bytes"))
		}
		m, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil {
			v.contradict(bad, "an image manifest", err.Error())
		} else {
			v.manifestSays(f, m, bad)
		}
	}
	bad = f.finding(Contradiction, "configuration", f.platform.Config)
	if f.name != "zstd" && v.has(f.platform.Manifest) {
		return nil // both forms share it
	}
	data, err = v.read(bad)
	if err == nil && data != nil {
		v.configSays(f, data, bad)
	}
	return err
}

func (v *verification) contradict(f Finding, expected, found string) {
	f.Expected, f.Found = expected, found
	v.find(f)
}

func (v *verification) manifestSays(f form, m *v1.Manifest, bad Finding) {
	if m.SchemaVersion != 2 || !m.MediaType.IsImage() {
		v.contradict(bad, "an image manifest of schema 2", fmt.Sprintf("media type %q, schema %d", m.MediaType, m.SchemaVersion))
	}
	if m.Config.Digest.String() != f.platform.Config {
		v.contradict(bad, "configuration "+f.platform.Config, m.Config.Digest.String())
	}
	if len(m.Layers) != len(f.layers) {
		v.contradict(bad, fmt.Sprint(len(f.layers), " layers"), fmt.Sprint(len(m.Layers)))
		return
	}
	for i, got := range m.Layers {
		want := f.layers[i]
		if got.Digest.String() != want.Digest || got.Size != want.Size {
			v.contradict(bad, fmt.Sprintf("%s %s of %d bytes", f.layerPart(i), want.Digest, want.Size),
				fmt.Sprintf("%s of %d", got.Digest, got.Size))
		}
	}
}

func (v *verification) configSays(f form, data []byte, bad Finding) {
	c, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		v.contradict(bad, "an image configuration", err.Error())
		return
	}
	platform := c.OS + "/" + c.Architecture
	if c.Variant != "" {
		platform += "/" + c.Variant
	}
	if platform != f.platform.Platform {
		v.contradict(bad, "platform "+f.platform.Platform, platform)
	}
	if len(c.RootFS.DiffIDs) != len(f.layers) {
		v.contradict(bad, fmt.Sprint(len(f.layers), " diff IDs"), fmt.Sprint(len(c.RootFS.DiffIDs)))
		return
	}
	for i, got := range c.RootFS.DiffIDs {
		if want := f.layers[i].DiffID; got.String() != want {
			v.contradict(bad, fmt.Sprintf("diff ID of layer %d %s", i+1, want), got.String())
		}
	}
}

// index checks that an image's index leads to the manifests of the lock, and to nothing else.
func (v *verification) index(img *lock.Image) error {
	bad := Finding{Kind: Contradiction, Image: id(img), Part: "index", Blob: img.Index}
	data, err := v.read(bad)
	if err != nil || data == nil {
		return err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		v.contradict(bad, "an image index", err.Error())
		return nil
	}
	if index.SchemaVersion != 2 || !index.MediaType.IsIndex() {
		v.contradict(bad, "an image index of schema 2", fmt.Sprintf("media type %q, schema %d", index.MediaType, index.SchemaVersion))
	}
	wanted := map[string]form{}
	for _, f := range forms(img, func(string) bool { return true }) {
		wanted[f.manifest] = f
	}
	for _, d := range index.Manifests {
		f, ok := wanted[d.Digest.String()]
		if !ok {
			v.contradict(bad, "manifests of the lock only", d.Digest.String())
			continue
		}
		delete(wanted, d.Digest.String())
		if f.size != 0 && d.Size != f.size {
			v.contradict(bad, fmt.Sprintf("manifest %s of %d bytes", f.manifest, f.size), fmt.Sprint(d.Size))
		}
		if got := platformOf(d); got != f.platform.Platform {
			v.contradict(bad, "manifest "+f.manifest+" for "+f.platform.Platform, got)
		}
	}
	for _, f := range wanted {
		v.contradict(bad, "manifest "+f.manifest, "an index without it")
	}
	return nil
}

func platformOf(d v1.Descriptor) string {
	if d.Platform == nil {
		return "no platform"
	}
	parts := []string{d.Platform.OS, d.Platform.Architecture}
	if d.Platform.Variant != "" {
		parts = append(parts, d.Platform.Variant)
	}
	return strings.Join(parts, "/")
}
