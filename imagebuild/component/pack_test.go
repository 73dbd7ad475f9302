package component

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// packInputs are inputs for two programs that are there as plain files.
func packInputs(t *testing.T) (inputs, string) {
	t.Helper()
	root := t.TempDir()
	in := inputs{Platform: Platform, Recipe: Recipe{
		Image: "two", Version: "v1", Source: "x", Module: "x",
		Programs: []Program{{"x/a", "usr/bin/a"}, {"x/b", "usr/lib/two/b"}},
	}}
	for i, p := range in.Recipe.Programs {
		file := filepath.Join(root, p.Path)
		if err := errors.Join(
			os.MkdirAll(filepath.Dir(file), 0o700),
			os.WriteFile(file, []byte(strings.Repeat(p.Path, 10_000*(i+1))), 0o644),
		); err != nil {
			t.Fatal(err)
		}
	}
	return in, root
}

func TestALayerHasTheProgramsAndTheirDirectoriesOnly(t *testing.T) {
	in, root := packInputs(t)
	blobs := t.TempDir()
	p, err := pack(in, root, blobs)
	if err != nil {
		t.Fatal(err)
	}
	layer := p.Platform.Layers[0]
	f, err := os.Open(filepath.Join(blobs, layer.Digest[7:]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dec, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	sum := sha256.New()
	tr := tar.NewReader(io.TeeReader(dec, sum))
	var got []string
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(time.Unix(0, 0)) || len(h.PAXRecords) != 0 {
			t.Errorf("%s: %+v", h.Name, h)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{"drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "drwxr-xr-x usr/lib/", "drwxr-xr-x usr/lib/two/", "-r-xr-xr-x usr/bin/a", "-r-xr-xr-x usr/lib/two/b"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, err := io.Copy(io.Discard, io.TeeReader(dec, sum)); err != nil {
		t.Fatal(err)
	}
	if d := "sha256:" + hex.EncodeToString(sum.Sum(nil)); d != layer.DiffID {
		t.Errorf("the tar stream is %s, the diffID says %s", d, layer.DiffID)
	}
	for _, file := range p.Platform.Files {
		if !hasDigest(filepath.Join(root, file.Path), "sha256:"+file.SHA256) {
			t.Errorf("%s has another sum", file.Path)
		}
	}
	if len(p.Platform.Files) != 2 {
		t.Errorf("files %v", p.Platform.Files)
	}
}

func TestPackingTwiceGivesTheSameBytes(t *testing.T) {
	in, root := packInputs(t)
	first, err := pack(in, root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range in.Recipe.Programs { // what a file system says beyond contents is no input
		file := filepath.Join(root, p.Path)
		if err := errors.Join(os.Chmod(file, 0o755), os.Chtimes(file, time.Now(), time.Unix(1e9, 0))); err != nil {
			t.Fatal(err)
		}
	}
	second, err := pack(in, root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.digests(), second.digests()) {
		t.Errorf("%v\n%v", first.digests(), second.digests())
	}
}

func TestManifestIndexAndConfigHoldTogether(t *testing.T) {
	in, root := packInputs(t)
	in.Recipe.Programs = in.Recipe.Programs[:1]
	in.Recipe.User = "65535:65535"
	blobs := t.TempDir()
	p, err := pack(in, root, blobs)
	if err != nil {
		t.Fatal(err)
	}
	read := func(digest string, v any) {
		t.Helper()
		if !hasDigest(filepath.Join(blobs, digest[7:]), digest) {
			t.Fatalf("blob %s is not there or not right", digest)
		}
		b, err := os.ReadFile(filepath.Join(blobs, digest[7:]))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatal(err)
		}
	}
	var index v1.IndexManifest
	read(p.Index, &index)
	if len(index.Manifests) != 1 || index.Manifests[0].Digest.String() != p.Platform.Manifest || index.Manifests[0].Platform.String() != "linux/amd64" {
		t.Errorf("index %+v", index)
	}
	var manifest v1.Manifest
	read(p.Platform.Manifest, &manifest)
	layer := p.Platform.Layers[0]
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != "application/vnd.oci.image.layer.v1.tar+zstd" ||
		manifest.Layers[0].Digest.String() != layer.Digest || manifest.Layers[0].Size != layer.Size ||
		manifest.Config.Digest.String() != p.Platform.Config {
		t.Errorf("manifest %+v", manifest)
	}
	var config v1.ConfigFile
	read(p.Platform.Config, &config)
	if config.RootFS.DiffIDs[0].String() != layer.DiffID || config.Config.User != "65535:65535" ||
		!slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/a"}) || !config.Created.Equal(time.Unix(0, 0)) {
		t.Errorf("config %+v", config)
	}
	files, err := os.ReadDir(blobs)
	if err != nil || len(files) != 4 {
		t.Errorf("%d blobs, want 4 (%v)", len(files), err)
	}
}
