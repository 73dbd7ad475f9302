package testbase

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Options say what a base is like.
type Options struct {
	Layers       int
	LayerSize    int    // bytes of the file that each layer has beside small ones; random, so compression gains nothing
	Architecture string // empty: amd64
	Labels       map[string]string
	Annotations  map[string]string
}

// Image makes an image whose layers hold a small operating system tree between them: a kernel, /etc, and one
// file of the given size each. The same options make the same bytes.
func Image(o Options) (v1.Image, error) {
	if o.Architecture == "" {
		o.Architecture = "amd64"
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	random := rand.NewChaCha8([32]byte{1})
	var adds []mutate.Addendum
	for n := range o.Layers {
		data, err := layerTar(n, o.LayerSize, random)
		if err != nil {
			return nil, err
		}
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		adds = append(adds, mutate.Addendum{Layer: l, MediaType: types.OCILayer, Annotations: map[string]string{"ostree.components": fmt.Sprintf("component-%03d", n)}})
	}
	image, err := mutate.Append(image, adds...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", o.Architecture
	config.Config.Labels = map[string]string{"containers.bootc": "1", "com.coreos.stream": "stable"}
	for k, v := range o.Labels {
		config.Config.Labels[k] = v
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	return mutate.Annotations(image, o.Annotations).(v1.Image), nil
}

// Write puts images into a new OCI layout.
func Write(dir string, images ...v1.Image) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	for _, i := range images {
		if err := path.AppendImage(i); err != nil {
			return err
		}
	}
	return nil
}

func layerTar(n, size int, random *rand.ChaCha8) ([]byte, error) {
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	dir := fmt.Sprintf("usr/share/component-%03d", n)
	write := func(h *tar.Header, data []byte) error {
		h.ModTime, h.Format, h.Size = time.Unix(0, 0), tar.FormatUSTAR, int64(len(data))
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := tw.Write(data)
		return err
	}
	for _, d := range []string{"usr", "usr/share", dir} {
		if err := write(&tar.Header{Typeflag: tar.TypeDir, Name: d + "/", Mode: 0o755}, nil); err != nil {
			return nil, err
		}
	}
	data := make([]byte, size)
	random.Read(data)
	if err := write(&tar.Header{Typeflag: tar.TypeReg, Name: dir + "/data", Mode: 0o644}, data); err != nil {
		return nil, err
	}
	if n == 0 {
		for _, f := range system {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode}
			if f.dir {
				h.Typeflag, h.Name = tar.TypeDir, f.name+"/"
			}
			if err := write(h, []byte(f.text)); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), tw.Close()
}

// system is what makes a tree look like an operating system's.
var system = []struct {
	name string
	mode int64
	dir  bool
	text string
}{
	{"usr/bin", 0o755, true, ""},
	{"usr/bin/bash", 0o755, false, "a shell"},
	{"usr/etc", 0o755, true, ""},
	{"usr/etc/os-release", 0o644, false, "ID=fedora\n"},
	{"usr/lib", 0o755, true, ""},
	{"usr/lib/modules", 0o755, true, ""},
	{"usr/lib/modules/6.99.1-300.fc44.x86_64", 0o755, true, ""},
	{"usr/lib/modules/6.99.1-300.fc44.x86_64/vmlinuz", 0o755, false, "a kernel"},
	{"usr/lib/systemd", 0o755, true, ""},
	{"usr/lib/systemd/system", 0o711, true, ""},
	{"usr/lib/systemd/system/zincati.service", 0o644, false, "[Service]\nExecStart=/usr/libexec/zincati agent\n"},
}
