package component

import (
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/lock"
)

// format is the version of everything that packing does to the bytes. It is raised when any of
// that changes; nothing is compiled again then.
const format = 3

// image is one image of one platform before it is packed: everything that decides its bytes. Its
// JSON form, with the name of a form, is the key of the packed image.
type image struct {
	Format     int
	Name       string
	Version    string
	Platform   string
	User       string
	Entrypoint []string
	Env        []string
	Contents   []content
}

func newImage(r *Recipe, platform string, contents []content) image {
	return image{
		Format: format, Name: r.Image, Version: r.Version, Platform: platform,
		User: r.User, Entrypoint: r.entrypoint(), Env: r.Env, Contents: contents,
	}
}

func (i image) key(f Form) string {
	return hashKey(struct {
		Form    Form
		Encoder string `json:",omitempty"`
		Image   image
	}{f, f.encoder(), i})
}

// packed is one form of an image in the cache: blobs by their digests.
type packed struct {
	Manifest string
	Size     int64 // of the manifest
	Config   string
	Layers   []lock.Layer
}

func (p *packed) digests() []string {
	var all []string
	for _, l := range p.Layers {
		all = append(all, l.Digest)
	}
	return append(all, p.Config, p.Manifest)
}

// bytes is the size of the layers.
func (p *packed) bytes() int64 {
	var n int64
	for _, l := range p.Layers {
		n += l.Size
	}
	return n
}

// loadPacked reads an entry and reports whether every blob is what its digest says.
func loadPacked(e entry) (packed, bool) {
	var p packed
	if !e.read(&p) || len(p.Layers) != 1 {
		return p, false
	}
	for _, d := range p.digests() {
		if !hasDigest(e.file(strings.TrimPrefix(d, "sha256:")), d) {
			return p, false
		}
	}
	return p, true
}

// pack makes the forms of an image from one reading of its contents, each in the directory of
// its own.
func pack(i image, forms []Form, dirs map[Form]string) (map[Form]packed, error) {
	layers, err := writeLayers(i.Contents, forms, dirs)
	if err != nil {
		return nil, err
	}
	all := map[Form]packed{}
	for _, f := range forms {
		layer := layers[f]
		config, err := writeJSON(dirs[f], i.config(layer.DiffID), types.OCIConfigJSON)
		if err != nil {
			return nil, err
		}
		hash, err := v1.NewHash(layer.Digest)
		if err != nil {
			return nil, fmt.Errorf("layer digest: %w", err)
		}
		manifest, err := writeJSON(dirs[f], v1.Manifest{
			SchemaVersion: 2,
			MediaType:     types.OCIManifestSchema1,
			Config:        config,
			Layers:        []v1.Descriptor{{MediaType: f.mediaType(), Digest: hash, Size: layer.Size}},
			Annotations:   annotations(i.Name, i.Version),
		}, types.OCIManifestSchema1)
		if err != nil {
			return nil, err
		}
		all[f] = packed{
			Manifest: manifest.Digest.String(), Size: manifest.Size,
			Config: config.Digest.String(), Layers: []lock.Layer{layer},
		}
	}
	return all, nil
}

func annotations(name, version string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":   name,
		"org.opencontainers.image.version": version,
	}
}

func (i image) config(diffID string) v1.ConfigFile {
	goos, arch, _ := strings.Cut(i.Platform, "/")
	hash, _ := v1.NewHash(diffID)
	return v1.ConfigFile{
		Created:      v1.Time{Time: epoch()},
		OS:           goos,
		Architecture: arch,
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{hash}},
		History:      []v1.History{{Created: v1.Time{Time: epoch()}, CreatedBy: "slipway images build"}},
		Config:       v1.Config{User: i.User, Entrypoint: i.Entrypoint, Env: i.Env, WorkingDir: "/"},
	}
}

// packedBlobs maps the digests of a packed image to their files.
func packedBlobs(e entry, p packed) map[string]string {
	all := map[string]string{}
	for _, d := range p.digests() {
		all[d] = filepath.Join(e.dir, strings.TrimPrefix(d, "sha256:"))
	}
	return all
}
