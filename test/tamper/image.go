package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/lock"
)

const (
	mediaTar      = "application/vnd.oci.image.layer.v1.tar"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
)

// file is one file of an image.
type file struct {
	path    string
	content []byte
}

// image is what the registry serves, by digest, and what the lock says about it.
type image struct {
	name    string
	index   string
	locked  lock.Platform
	objects map[string][]byte // index and manifest
	blobs   map[string][]byte
}

// makeImage puts each file into a layer of its own with that compression ("", "+gzip", "+zstd").
func makeImage(name string, compression []string, files ...file) (*image, error) {
	img := &image{name: name, objects: map[string][]byte{}, blobs: map[string][]byte{}, locked: lock.Platform{Platform: "linux/amd64"}}
	var layers []descriptor
	var diffIDs []string
	for i, f := range files {
		stream, err := archive(f)
		if err != nil {
			return nil, err
		}
		blob, err := compress(compression[i], stream)
		if err != nil {
			return nil, err
		}
		d := img.blob(mediaTar+compression[i], blob)
		layers = append(layers, d)
		diffIDs = append(diffIDs, digest(stream))
		img.locked.Layers = append(img.locked.Layers, lock.Layer{Digest: d.Digest, DiffID: digest(stream), Size: d.Size})
		img.locked.Files = append(img.locked.Files, lock.Binary{Path: f.path, SHA256: digest(f.content)[7:], Size: int64(len(f.content))})
	}
	slices.SortFunc(img.locked.Files, func(a, b lock.Binary) int { return strings.Compare(a.Path, b.Path) })
	config, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}})
	if err != nil {
		return nil, err
	}
	configured := img.blob(mediaConfig, config)
	img.locked.Config = configured.Digest
	manifest, err := img.object(mediaManifest, map[string]any{"schemaVersion": 2, "mediaType": mediaManifest, "config": configured, "layers": layers})
	if err != nil {
		return nil, err
	}
	img.locked.Manifest = manifest.Digest
	index, err := img.object(mediaIndex, map[string]any{"schemaVersion": 2, "mediaType": mediaIndex, "manifests": []descriptor{manifest}})
	img.index = index.Digest
	return img, err
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

func (img *image) blob(media string, raw []byte) descriptor {
	img.blobs[digest(raw)] = raw
	return descriptor{media, digest(raw), int64(len(raw))}
}

func (img *image) object(media string, v any) (descriptor, error) {
	raw, err := json.Marshal(v)
	img.objects[digest(raw)] = raw
	return descriptor{media, digest(raw), int64(len(raw))}, err
}

// raw returns an object or blob.
func (img *image) raw(d string) []byte {
	if raw, ok := img.objects[d]; ok {
		return raw
	}
	return img.blobs[d]
}

func archive(f file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: f.path, Mode: 0o755, Size: int64(len(f.content)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(f.content); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func compress(kind string, stream []byte) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "+gzip":
		w = gzip.NewWriter(&out)
	case "+zstd":
		enc, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
		if err != nil {
			return nil, err
		}
		w = enc
	default:
		return stream, nil
	}
	if _, err := w.Write(stream); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}
