package trust

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxOSLayer bounds what a layer of a node OS unpacks to: 32 GiB.
const maxOSLayer = 32 << 30

// rawUse is a layer of an image that the components' lock does not speak of.
type rawUse struct {
	image, part    string
	digest, diffID string
	size           int64
}

// osImage checks a node OS image, whose digest an OS lock names: manifest, configuration, and of each layer
// digest, size and diff ID.
func (v *verification) osImage(name, digest string) error {
	v.named[digest] = true
	if !v.has(digest) {
		v.report.Absent = append(v.report.Absent, name)
		return nil
	}
	bad := Finding{Kind: Contradiction, Image: name, Part: "manifest", Blob: digest}
	data, err := v.read(bad)
	if err != nil || data == nil {
		return err
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || !m.MediaType.IsImage() {
		v.contradict(bad, "an image manifest", fmt.Sprintf("media type %q", m.MediaType))
		return nil
	}
	v.named[m.Config.Digest.String()] = true
	bad.Part, bad.Blob = "configuration", m.Config.Digest.String()
	if data, err = v.read(bad); err != nil || data == nil {
		return err
	}
	c, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil || len(c.RootFS.DiffIDs) != len(m.Layers) {
		v.contradict(bad, fmt.Sprint(len(m.Layers), " diff IDs"), "another configuration")
		return nil
	}
	for i, l := range m.Layers {
		use := rawUse{name, fmt.Sprintf("layer %d of %d", i+1, len(m.Layers)), l.Digest.String(), c.RootFS.DiffIDs[i].String(), l.Size}
		v.named[use.digest] = true
		size, ok := v.content.Size(use.digest)
		if !ok {
			v.find(Finding{Kind: Missing, Image: name, Part: use.part, Blob: use.digest})
			continue
		}
		t := v.layers[use.digest]
		if t == nil {
			t = &layerTask{digest: use.digest, size: size}
			v.layers[use.digest] = t
		}
		t.limit, t.raw = maxOSLayer, append(t.raw, use)
	}
	v.report.Whole = append(v.report.Whole, name)
	return nil
}

func (v *verification) useRaw(u rawUse, found *layerContents) {
	bad := func(kind Kind, expected, found string) {
		v.find(Finding{Kind: kind, Image: u.image, Part: u.part, Blob: u.digest, Expected: expected, Found: found})
	}
	if found.digest != u.digest {
		bad(WrongDigest, u.digest, found.digest)
	}
	if found.size != u.size {
		bad(WrongSize, fmt.Sprint(u.size, " bytes"), fmt.Sprint(found.size, " bytes"))
	}
	switch {
	case found.err != nil:
		bad(Unreadable, "", found.err.Error())
	case found.diffID != u.diffID:
		bad(WrongDiffID, u.diffID, found.diffID)
	}
}
