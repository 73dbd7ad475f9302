package component

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
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

	"slipway.build/slipway/imagebuild/buildcache"
)

// packImage is an image of two programs, which are there as plain files, and a link.
func packImage(t *testing.T) image {
	t.Helper()
	root := t.TempDir()
	contents := []content{{Path: "usr/bin/c", Target: "a"}, {Path: "var/empty", Directory: true}}
	for i, path := range []string{"usr/bin/a", "usr/lib/two/b"} {
		file := filepath.Join(root, filepath.Base(path))
		if err := os.WriteFile(file, []byte(strings.Repeat(path, 10_000*(i+1))), 0o644); err != nil {
			t.Fatal(err)
		}
		sum, size, err := buildcache.Sum(file)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, content{Path: path, SHA256: sum, Size: size, file: file})
	}
	if err := sortContents(contents); err != nil {
		t.Fatal(err)
	}
	r := Recipe{Image: "two", Version: "v1", User: "65535:65535", Entrypoint: []string{"/usr/bin/a"}, Env: []string{"A=b"}}
	return newImage(&r, "linux/amd64", contents)
}

func packBoth(t *testing.T, i image) (map[Form]packed, map[Form]string) {
	t.Helper()
	dirs := map[Form]string{Zstd: t.TempDir(), Gzip: t.TempDir()}
	p, err := pack(i, Forms(), dirs)
	if err != nil {
		t.Fatal(err)
	}
	return p, dirs
}

func decompress(t *testing.T, f Form, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader
	if f == Gzip {
		r, err = stdgzip.NewReader(bytes.NewReader(b))
	} else {
		r, err = zstd.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBothFormsUnpackToTheDeclaredContentsOnly(t *testing.T) {
	i := packImage(t)
	p, dirs := packBoth(t, i)
	for _, f := range Forms() {
		layer := p[f].Layers[0]
		stream := decompress(t, f, filepath.Join(dirs[f], layer.Digest[7:]))
		if sum := sha256.Sum256(stream); "sha256:"+hex.EncodeToString(sum[:]) != layer.DiffID {
			t.Errorf("%s: the tar stream is not what the diffID says", f)
		}
		tr := tar.NewReader(bytes.NewReader(stream))
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
			got = append(got, strings.TrimSpace(h.FileInfo().Mode().String()+" "+h.Name+" "+h.Linkname))
		}
		want := []string{
			"drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "drwxr-xr-x usr/lib/", "drwxr-xr-x usr/lib/two/", "drwxr-xr-x var/", "drwxr-xr-x var/empty/",
			"-r-xr-xr-x usr/bin/a", "Lrwxrwxrwx usr/bin/c a", "-r-xr-xr-x usr/lib/two/b",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", f, got, want)
		}
	}
	if p[Zstd].Layers[0].DiffID != p[Gzip].Layers[0].DiffID || p[Zstd].Config != p[Gzip].Config {
		t.Error("the forms are not of one image")
	}
	if files := lockFiles(i.Contents); len(files) != 2 {
		t.Errorf("files %v", files)
	}
}

func TestPackingTwiceGivesTheSameBytes(t *testing.T) {
	i := packImage(t)
	first, _ := packBoth(t, i)
	for _, c := range i.Contents { // what a file system says beyond contents is no input
		if c.file == "" {
			continue
		}
		if err := errors.Join(os.Chmod(c.file, 0o755), os.Chtimes(c.file, time.Now(), time.Unix(1e9, 0))); err != nil {
			t.Fatal(err)
		}
	}
	second, _ := packBoth(t, i)
	alone, err := pack(i, []Form{Zstd}, map[Form]string{Zstd: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Forms() {
		a, b := first[f], second[f]
		if !slices.Equal(a.digests(), b.digests()) {
			t.Errorf("%v\n%v", a.digests(), b.digests())
		}
	}
	if alone[Zstd].Manifest != first[Zstd].Manifest {
		t.Error("a form packed alone is another one")
	}
}

func TestAFileThatChangesWhileItIsPackedIsRefused(t *testing.T) {
	i := packImage(t)
	if err := os.WriteFile(i.Contents[0].file, []byte(strings.Repeat("x", int(i.Contents[0].Size))), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err := pack(i, []Form{Gzip}, map[Form]string{Gzip: dir})
	if err == nil || !strings.Contains(err.Error(), "pack usr/bin/a: its bytes changed") {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheGateOfALayerRefusesWhatWasNotDeclared(t *testing.T) {
	regular := content{Path: "usr/a", Size: 1}
	for name, tt := range map[string]struct {
		header   tar.Header
		declared []content
		want     string
	}{
		"another path":    {tar.Header{Name: "usr/b", Mode: 0o555, Size: 1}, []content{regular}, "usr/b, which is not declared"},
		"another type":    {tar.Header{Name: "usr/a", Typeflag: tar.TypeChar, Mode: 0o555}, []content{regular}, "type"},
		"another size":    {tar.Header{Name: "usr/a", Mode: 0o555, Size: 2}, []content{regular}, "2 bytes, want 1"},
		"a set-uid bit":   {tar.Header{Name: "usr/a", Mode: 0o4555, Size: 1}, []content{regular}, "set-uid"},
		"writable":        {tar.Header{Name: "usr/a", Mode: 0o757, Size: 1}, []content{regular}, "lets others write"},
		"another owner":   {tar.Header{Name: "usr/a", Mode: 0o555, Size: 1, Uid: 1}, []content{regular}, "not owned by root"},
		"a time":          {tar.Header{Name: "usr/a", Mode: 0o555, Size: 1, ModTime: time.Unix(1, 0)}, []content{regular}, "it has a time"},
		"a link's target": {tar.Header{Name: "usr/a", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow", Mode: 0o777}, []content{{Path: "usr/a", Target: "b"}}, "target"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		err := errors.Join(w.WriteHeader(&tar.Header{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o755}), w.WriteHeader(&tt.header))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("xx")[:tt.header.Size])
		_ = w.Close()
		if err := gateTar(&b, tt.declared); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var empty bytes.Buffer
	_ = tar.NewWriter(&empty).Close()
	if err := gateTar(&empty, []content{regular}); err == nil || !strings.Contains(err.Error(), "which is declared") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestTwoThingsAtOnePathAreRefused(t *testing.T) {
	for want, all := range map[string][]content{
		"twice":                   {{Path: "usr/a"}, {Path: "usr/a"}},
		"beneath the file or lin": {{Path: "usr/a", Target: "b"}, {Path: "usr/a/c"}},
	} {
		if err := sortContents(all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestManifestAndConfigHoldTogether(t *testing.T) {
	i := packImage(t)
	all, dirs := packBoth(t, i)
	for f, mediaType := range map[Form]string{Zstd: "application/vnd.oci.image.layer.v1.tar+zstd", Gzip: "application/vnd.oci.image.layer.v1.tar+gzip"} {
		p := all[f]
		read := func(digest string, v any) {
			t.Helper()
			if !hasDigest(filepath.Join(dirs[f], digest[7:]), digest) {
				t.Fatalf("blob %s is not there or not right", digest)
			}
			b, err := os.ReadFile(filepath.Join(dirs[f], digest[7:]))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, v); err != nil {
				t.Fatal(err)
			}
		}
		var manifest v1.Manifest
		read(p.Manifest, &manifest)
		layer := p.Layers[0]
		if len(manifest.Layers) != 1 || string(manifest.Layers[0].MediaType) != mediaType ||
			manifest.Layers[0].Digest.String() != layer.Digest || manifest.Layers[0].Size != layer.Size ||
			manifest.Config.Digest.String() != p.Config {
			t.Errorf("manifest %+v", manifest)
		}
		var config v1.ConfigFile
		read(p.Config, &config)
		if config.RootFS.DiffIDs[0].String() != layer.DiffID || config.Config.User != "65535:65535" || !slices.Equal(config.Config.Env, []string{"A=b"}) ||
			!slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/a"}) || !config.Created.Equal(time.Unix(0, 0)) {
			t.Errorf("config %+v", config)
		}
		if files, err := os.ReadDir(dirs[f]); err != nil || len(files) != 3 {
			t.Errorf("%d blobs, want 3 (%v)", len(files), err)
		}
	}
}
