package oracles

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/referrer"
)

// Image is a whole image as ours are: an index with a gzip and a zstd manifest of one platform.
type Image struct {
	Index, Gzip, Zstd referrer.Manifest
}

// PutImage writes an image whose layer holds text.
func PutImage(t testing.TB, r referrer.Repository, tag, text string) Image {
	t.Helper()
	var raw, small bytes.Buffer
	tw := tar.NewWriter(&raw)
	check(t, tw.WriteHeader(&tar.Header{Name: "file", Mode: 0o444, Size: int64(len(text))}))
	_, err := tw.Write([]byte(text))
	check(t, errors.Join(err, tw.Close()))
	zw := gzip.NewWriter(&small)
	_, err = zw.Write(raw.Bytes())
	check(t, errors.Join(err, zw.Close()))
	enc, err := zstd.NewWriter(nil)
	check(t, err)
	config, err := json.Marshal(v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{
		{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(raw.Bytes()))},
	}}})
	check(t, err)
	manifest := func(layer []byte, kind types.MediaType) referrer.Manifest {
		m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
			Config: referrer.Manifest{MediaType: types.OCIConfigJSON, Content: config}.Descriptor(),
			Layers: []v1.Descriptor{referrer.Manifest{MediaType: kind, Content: layer}.Descriptor()},
		}
		b, err := json.Marshal(m)
		out := referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: b}
		check(t, errors.Join(err, r.PutBlob(t.Context(), layer), r.PutBlob(t.Context(), config), r.PutManifest(t.Context(), out, "")))
		return out
	}
	c := Image{Gzip: manifest(small.Bytes(), types.OCILayer), Zstd: manifest(enc.EncodeAll(raw.Bytes(), nil), types.OCILayerZStd)}
	first, second := c.Gzip.Descriptor(), c.Zstd.Descriptor()
	first.Platform, second.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}, &v1.Platform{OS: "linux", Architecture: "amd64"}
	second.Annotations = map[string]string{"io.github.containers.compression.zstd": "true"}
	b, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{first, second}})
	c.Index = referrer.Manifest{MediaType: types.OCIImageIndex, Content: b}
	check(t, errors.Join(err, r.PutManifest(t.Context(), c.Index, tag)))
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
