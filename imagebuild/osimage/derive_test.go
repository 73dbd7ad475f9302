package osimage

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// base makes an image of n layers in one of Fedora CoreOS's two forms, as its release
// engineering publishes them.
func base(t *testing.T, n int, encapsulated bool) v1.Image {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var last v1.Hash
	for range n {
		l, err := random.Layer(64, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: l, MediaType: types.OCILayer, Annotations: map[string]string{"ostree.components": "rpm"}}); err != nil {
			t.Fatal(err)
		}
		if last, err = l.DiffID(); err != nil {
			t.Fatal(err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Labels = map[string]string{"containers.bootc": "1", "com.coreos.stream": "stable"}
	if encapsulated {
		config.Config.Labels["ostree.commit"] = strings.Repeat("c", 64)
		config.Config.Labels[finalDiffID] = last.String()
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return mutate.Annotations(image, map[string]string{"fedora-coreos.stream": "stable"}).(v1.Image)
}

func TestDerivingKeepsEveryByteOfEitherFormOfBaseAndAddsOneLayer(t *testing.T) {
	l := layer(t, contents(t))
	for name, image := range map[string]v1.Image{
		"an encapsulated ostree commit": base(t, 5, true),
		"a plain image of many layers":  base(t, 400, false),
	} {
		t.Run(name, func(t *testing.T) {
			before, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			before = before.DeepCopy()
			beforeConfig, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			beforeConfig = beforeConfig.DeepCopy()
			var digests []string
			for range 2 {
				derived, err := Derive(image, l)
				if err != nil {
					t.Fatal(err)
				}
				digest, err := derived.Digest()
				if err != nil {
					t.Fatal(err)
				}
				digests = append(digests, digest.String())
				manifest, _ := derived.Manifest()
				config, _ := derived.ConfigFile()
				n := len(before.Layers)
				if diff := cmp.Diff(before.Layers, manifest.Layers[:n]); diff != "" || len(manifest.Layers) != n+1 {
					t.Errorf("layers: %d, %s", len(manifest.Layers), diff)
				}
				beforeConfig.Config.Labels["com.coreos.stream"] = Stream // all that changes
				if diff := cmp.Diff(beforeConfig.Config, config.Config); diff != "" {
					t.Errorf("configuration with labels: %s", diff)
				}
				before.Annotations["fedora-coreos.stream"] = Stream
				if diff := cmp.Diff(before.Annotations, manifest.Annotations); diff != "" {
					t.Errorf("annotations: %s", diff)
				}
				if got := config.RootFS.DiffIDs[n].String(); got != l.DiffID() || len(config.RootFS.DiffIDs) != n+1 {
					t.Errorf("last diff ID %s, want %s", got, l.DiffID())
				}
				if manifest.Layers[n].MediaType != types.OCILayerZStd {
					t.Errorf("media type %s", manifest.Layers[n].MediaType)
				}
				if n > 100 {
					continue // validating pulls every layer
				}
				checkLastLayer(t, derived)
				path, err := layout.Write(filepath.Join(t.TempDir(), "layout"), empty.Index)
				if err != nil {
					t.Fatal(err)
				}
				if err := path.AppendImage(derived); err != nil {
					t.Errorf("write to a layout: %v", err)
				}
			}
			if digests[0] != digests[1] {
				t.Errorf("two derivations have digests %v", digests)
			}
		})
	}
}

// checkLastLayer reads the layer both ways; go-containerregistry's validation knows gzip alone.
func checkLastLayer(t *testing.T, image v1.Image) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	l := layers[len(layers)-1]
	for name, read := range map[string]struct {
		open func() (io.ReadCloser, error)
		want func() (v1.Hash, error)
	}{"compressed": {l.Compressed, l.Digest}, "uncompressed": {l.Uncompressed, l.DiffID}} {
		r, err := read.open()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(r)
		r.Close()
		if want, _ := read.want(); err != nil || got != want {
			t.Errorf("%s: digest %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestABaseOfDockersFormGetsALayerThatItsReadersKnow(t *testing.T) {
	image := mutate.MediaType(base(t, 1, false), types.DockerManifestSchema2)
	derived, err := Derive(image, layer(t, contents(t)))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := derived.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Layers[1].MediaType; got != types.DockerLayer {
		t.Errorf("media type %s", got)
	}
	if err := validate.Image(derived); err != nil {
		t.Error(err)
	}
}

func TestABaseThatNoNodeCouldBootFromIsRefused(t *testing.T) {
	l := layer(t, contents(t))
	change := func(image v1.Image, f func(*v1.ConfigFile)) v1.Image {
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		f(config)
		if image, err = mutate.ConfigFile(image, config); err != nil {
			t.Fatal(err)
		}
		return image
	}
	for want, image := range map[string]v1.Image{
		"none of its layers": change(base(t, 2, true), func(c *v1.ConfigFile) { c.Config.Labels[finalDiffID] = fmt.Sprintf("sha256:%064d", 0) }),
		"linux/arm64":        change(base(t, 2, false), func(c *v1.ConfigFile) { c.Architecture = "arm64" }),
		"diff IDs":           change(base(t, 2, false), func(c *v1.ConfigFile) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1] }),
		"500 with ours":      base(t, 500, false),
	} {
		t.Run(want, func(t *testing.T) {
			if _, err := Derive(image, l); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
