package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReferencesAreToldApart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.ociarchive")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	pin := "@sha256:" + strings.Repeat("ab", 32)
	for text, want := range map[string]struct {
		kind     Kind
		location string
		pinned   bool
	}{
		dir:                                    {Layout, filepath.Base(dir), false},
		dir + pin:                              {Layout, filepath.Base(dir), true},
		file + pin:                             {Archive, "a.ociarchive", true},
		"./not/there":                          {Layout, "there", false},
		"node.oci":                             {Layout, "node.oci", false},
		"out/node.oci":                         {Layout, "node.oci", false},
		"fedora-coreos" + pin:                  {Layout, "fedora-coreos", true},
		"localhost/a/b" + pin:                  {Registry, "localhost/a/b", true},
		"oci:" + dir:                           {Layout, filepath.Base(dir), false},
		"oci-archive:b.tar" + pin:              {Archive, "b.tar", true},
		"quay.io/fedora/fedora-coreos:x":       {Registry, "quay.io/fedora/fedora-coreos:", false},
		"quay.io/fedora/fedora-coreos:x" + pin: {Registry, "quay.io/fedora/fedora-coreos", true},
		"docker://127.0.0.1:5000/a/b" + pin:    {Registry, "127.0.0.1:5000/a/b", true},
	} {
		got, err := Parse(text)
		if err != nil || got.Kind != want.kind || strings.TrimSuffix(got.Location(), ":") != strings.TrimSuffix(want.location, ":") || (got.Digest.Hex != "") != want.pinned {
			t.Errorf("%s: %+v (%s), %v", text, got, got.Location(), err)
		}
	}
	for _, text := range []string{"", "example.org/UPPER/Case", dir + "@sha256:ab", dir + "@md5:" + strings.Repeat("a", 32), "example.org/a b"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:ab","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := resolve(data, "amd64"); err == nil && d.Platform.Architecture != "amd64" {
			t.Fatalf("%+v", d)
		}
	})
}
