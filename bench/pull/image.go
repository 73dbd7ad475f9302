package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/semver"

	"slipway.build/slipway/imagebuild/lock"
)

// Media types of the layers that are compared.
const (
	mediaGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	mediaZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
)

// binaries are the components whose layers make the image, as large as the product has them.
var binaries = []string{"kube-apiserver", "kube-controller-manager", "kubelet", "coredns", "kubectl"}

// changedLayer is which of the binaries differs in the upgrade: the one in the middle.
const changedLayer = 2

// layer is a tar stream in both forms, and the binaries in it.
type layer struct {
	files      []lock.Binary
	stream     []byte
	gzip, zstd []byte
}

// image is what a registry serves and what the lock says about it.
type image struct {
	Repository string
	Tag        string
	Media      string
	Manifest   []byte
	Blobs      map[string][]byte `json:"-"`
	Locked     lock.Platform
}

// together is the repository of the images that hold all binaries.
const together = "bench/node"

// loadLayers takes the components' own layers from the build cache, and packs their tar streams
// once more as gzip at the level that docker and buildah use.
func loadLayers(cache, lockFile string) ([]layer, error) {
	l, err := lock.Load(lockFile)
	if err != nil {
		return nil, err
	}
	var layers []layer
	for _, name := range binaries {
		images := l.ByName(name)
		if len(images) == 0 {
			return nil, fmt.Errorf("%s is not in %s", name, lockFile)
		}
		newest := slices.MaxFunc(images, func(a, b *lock.Image) int { return semver.Compare(a.Version, b.Version) })
		platform, ok := newest.For("linux/amd64")
		if !ok || len(platform.Layers) != 1 || len(platform.Files) != 1 {
			return nil, fmt.Errorf("%s in %s is not one binary in one layer", name, lockFile)
		}
		pattern := filepath.Join(cache, "packed", "*", strings.TrimPrefix(platform.Layers[0].Digest, "sha256:"))
		found, _ := filepath.Glob(pattern)
		if len(found) == 0 {
			return nil, fmt.Errorf("the layer of %s is not in the build cache (%s); run `bin/slipway images build` first", name, pattern)
		}
		blob, err := os.ReadFile(found[0])
		if err != nil {
			return nil, err
		}
		made, err := repack(blob, platform.Files[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		layers = append(layers, made)
	}
	return layers, nil
}

func repack(blob []byte, file lock.Binary) (layer, error) {
	dec, err := zstd.NewReader(bytes.NewReader(blob))
	if err != nil {
		return layer{}, err
	}
	defer dec.Close()
	stream, err := io.ReadAll(dec)
	if err != nil {
		return layer{}, err
	}
	packed, err := gzipped(stream)
	return layer{files: []lock.Binary{file}, stream: stream, gzip: packed, zstd: blob}, err
}

func gzipped(stream []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(stream); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// changed is the layer with its binary changed here and there, as by a patch release.
func changed(old layer) (layer, error) {
	stream := bytes.Clone(old.stream)
	start := bytes.Index(stream, []byte("\x7fELF"))
	file := old.files[0]
	content := stream[start : int64(start)+file.Size]
	for i := 64 << 10; i < len(content); i += 64 << 10 {
		content[i] ^= 0xff
	}
	file.SHA256 = digest(content)[len("sha256:"):]
	packed, err := gzipped(stream)
	return layer{files: []lock.Binary{file}, stream: stream, gzip: packed}, err
}

// flat is all layers as one, as an image with several binaries is usually built.
func flat(layers []layer) (layer, error) {
	var all layer
	const endMark = 1024 // of a tar stream, which Go's writer does not pad further
	for i, l := range layers {
		part := l.stream
		if i > 0 {
			const header = 512
			part = part[bytes.Index(part, []byte("\x7fELF"))-header:] // its directories are there already
		}
		if i < len(layers)-1 {
			part = part[:len(part)-endMark]
		}
		all.stream = append(all.stream, part...)
		all.files = append(all.files, l.files...)
	}
	var err error
	all.gzip, err = gzipped(all.stream)
	return all, err
}

// assemble makes an image of the layers in one form.
func assemble(repository, tag, media string, layers ...layer) (*image, error) {
	img := &image{Repository: repository, Tag: tag, Media: media, Blobs: map[string][]byte{}, Locked: lock.Platform{Platform: "linux/amd64"}}
	var descriptors []map[string]any
	var diffIDs []string
	for _, l := range layers {
		blob := l.gzip
		if media == mediaZstd {
			blob = l.zstd
		}
		img.Blobs[digest(blob)] = blob
		img.Locked.Layers = append(img.Locked.Layers, lock.Layer{Digest: digest(blob), DiffID: digest(l.stream), Size: int64(len(blob))})
		img.Locked.Files = append(img.Locked.Files, l.files...)
		descriptors = append(descriptors, map[string]any{"mediaType": media, "digest": digest(blob), "size": len(blob)})
		diffIDs = append(diffIDs, digest(l.stream))
	}
	slices.SortFunc(img.Locked.Files, func(a, b lock.Binary) int { return strings.Compare(a.Path, b.Path) })
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": map[string]string{"version": tag}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return nil, err
	}
	img.Blobs[digest(config)] = config
	img.Locked.Config = digest(config)
	img.Manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest,
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
		"layers": descriptors,
	})
	img.Locked.Manifest = digest(img.Manifest)
	return img, err
}

const mediaManifest = "application/vnd.oci.image.manifest.v1+json"

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// reference is the image's name for the peers, each of which is asked for one image only.
func (i *image) reference(addr string) string { return addr + "/" + i.Repository + ":" + i.Tag }
