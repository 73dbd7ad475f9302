package lock

import (
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
)

func digestOf(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// sample returns a valid lock with one complete and one unresolved image.
func sample() *Lock {
	return &Lock{
		Schema: Schema, Number: 1, Issued: "2026-11-21T17:00:00Z", Expires: "2031-11-20T17:00:00Z",
		Toolchain: "go1.26.7",
		Images: []Image{
			{
				Name: "etcd", Version: "v3.6.16", Repository: "slipway/etcd",
				Source: Source{
					Module: "go.etcd.io/etcd/server/v3", Version: "v3.6.16",
					Sum:      "h1:oyM9Y9vzd0fY3Ahn0sVlwxY5pHR1ZxQAk1WTqcUZMDo=",
					Packages: []string{"go.etcd.io/etcd/server/v3"},
					Flags:    []string{"-trimpath", "-ldflags=-s -w <&>"},
					GoSum:    digestOf("1"),
				},
				Kubernetes: []string{"1.36"},
				Index:      digestOf("2"),
				Platforms: []Platform{{
					Platform: "linux/amd64", Manifest: digestOf("3"), Config: digestOf("4"),
					Layers: []Layer{{Digest: digestOf("5"), DiffID: digestOf("6"), Size: 7}},
					Files:  []Binary{{Path: "usr/bin/etcd", SHA256: strings.Repeat("8", 64), Size: 9}},
				}},
			},
			{
				Name: "fcos", Version: "44.20261004.3.0", Repository: "fedora/fedora-coreos",
				Source:     Source{Reference: "quay.example/fedora/fedora-coreos:stable"},
				Unresolved: "its registry cannot be reached from here",
			},
		},
	}
}

func TestSampleIsValid(t *testing.T) {
	if err := sample().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateNamesFieldAndValue(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Lock)
		want   string
	}{
		{"no number", func(l *Lock) { l.Number = 0 }, "number: 0 is not"},
		{"a number below zero", func(l *Lock) { l.Number = -1 }, "number: -1 is not"},
		{"no time of issue", func(l *Lock) { l.Issued = "" }, `issued: "" is not a time`},
		{"a time with an offset", func(l *Lock) { l.Issued = "2026-11-21T17:00:00+01:00" }, "issued: "},
		{"a time with fractions", func(l *Lock) { l.Expires = "2031-11-20T17:00:00.5Z" }, "expires: "},
		{"an end before the beginning", func(l *Lock) { l.Expires = "2026-11-21T17:00:00Z" }, "is not after issued"},
		{"another schema", func(l *Lock) { l.Schema = "slipway.build/images/v1" }, `schema: "slipway.build/images/v1" is not "slipway.build/images/v2"`},
		{"a toolchain that is not exact", func(l *Lock) { l.Toolchain = "go1.26.x" }, `toolchain: "go1.26.x"`},
		{"an image twice", func(l *Lock) { l.Images[1].Name, l.Images[1].Version = "etcd", "v3.6.16" }, `images[1](etcd).name: "etcd" "v3.6.16" must sort after "etcd" "v3.6.16"`},
		{"versions out of order", func(l *Lock) { l.Images[1].Name, l.Images[1].Version = "etcd", "v3.5.9" }, "sorted by name and version, and unique"},
		{"names out of order", func(l *Lock) { l.Images[1].Name = "cni" }, "sorted by name and version, and unique"},
		{"an upper-case name", func(l *Lock) { l.Images[0].Name = "Etcd" }, `images[0](Etcd).name: "Etcd"`},
		{"a version that is no tag", func(l *Lock) { l.Images[0].Version = "v3+x" }, `images[0](etcd).version: "v3+x"`},
		{"a repository that leaves its registry", func(l *Lock) { l.Images[0].Repository = "../etcd" }, ".repository:"},
		{"neither module nor reference", func(l *Lock) { l.Images[0].Source = Source{} }, "source: neither module nor reference"},
		{"module and reference", func(l *Lock) { l.Images[0].Source.Reference = "x" }, "exclude each other"},
		{"a module without sum", func(l *Lock) { l.Images[0].Source.Sum = "" }, `source.sum: ""`},
		{"a module without go.sum", func(l *Lock) { l.Images[0].Source.GoSum = "" }, `source.goSum: ""`},
		{"a flag of two lines", func(l *Lock) { l.Images[0].Source.Flags[0] = "a\nb" }, "source.flags[0]"},
		{"a minor with a patch", func(l *Lock) { l.Images[0].Kubernetes[0] = "1.36.3" }, `kubernetes[0]: "1.36.3"`},
		{"no index", func(l *Lock) { l.Images[0].Index = "" }, `index: ""`},
		{"no platform and no reason", func(l *Lock) { l.Images[0].Platforms = nil }, "unresolved does not say why"},
		{"unresolved with an index", func(l *Lock) { l.Images[1].Index = digestOf("a") }, "neither index nor platforms"},
		{"a sha512 digest", func(l *Lock) { l.Images[0].Platforms[0].Manifest = "sha512:" + strings.Repeat("a", 128) }, "platforms[0].manifest"},
		{"a digest in upper case", func(l *Lock) { l.Images[0].Platforms[0].Config = digestOf("A") }, "platforms[0].config"},
		{"a platform twice", func(l *Lock) {
			p := l.Images[0].Platforms[0]
			l.Images[0].Platforms = append(l.Images[0].Platforms, p)
		}, "platforms are sorted and unique"},
		{"no layer", func(l *Lock) { l.Images[0].Platforms[0].Layers = nil }, "layers: none given"},
		{"a layer without size", func(l *Lock) { l.Images[0].Platforms[0].Layers[0].Size = 0 }, "layers[0].size: 0"},
		{"a short diffID", func(l *Lock) { l.Images[0].Platforms[0].Layers[0].DiffID = "sha256:66" }, "layers[0].diffID"},
		{"no file", func(l *Lock) { l.Images[0].Platforms[0].Files = nil }, "files: none given"},
		{"an absolute path", func(l *Lock) { l.Images[0].Platforms[0].Files[0].Path = "/usr/bin/etcd" }, "files[0].path"},
		{"a path that climbs", func(l *Lock) { l.Images[0].Platforms[0].Files[0].Path = "usr/../../etcd" }, "files[0].path"},
		{"a sum with its prefix", func(l *Lock) { l.Images[0].Platforms[0].Files[0].SHA256 = digestOf("8") }, "files[0].sha256"},
		{"a negative size", func(l *Lock) { l.Images[0].Platforms[0].Files[0].Size = -1 }, "files[0].size: -1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := sample()
			tt.change(l)
			err := l.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if !fault.IsTerminal(err) {
				t.Error("the error is not terminal")
			}
		})
	}
}

func TestValidateListsEveryProblem(t *testing.T) {
	l := sample()
	l.Toolchain, l.Images[0].Index, l.Images[1].Version = "", "", ""
	err := l.Validate()
	for _, want := range []string{"toolchain", "images[0](etcd).index", "images[1](fcos).version"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestValidateRefusesOneManifestForTwoImages(t *testing.T) {
	l := sample()
	twin := l.Images[0]
	twin.Name, twin.Repository = "etcd-twin", "slipway/etcd-twin"
	l.Images = []Image{l.Images[0], twin}
	if err := l.Validate(); err == nil || !strings.Contains(err.Error(), "is also that of etcd") {
		t.Fatalf("error %v", err)
	}
}

func TestFind(t *testing.T) {
	l := sample()
	if all := l.ByName("etcd"); len(all) != 1 || all[0].Version != "v3.6.16" {
		t.Fatalf("ByName: %v", all)
	}
	img, ok := l.Find("etcd", "v3.6.16")
	if !ok || img.Name != "etcd" {
		t.Fatalf("Find: %v %v", img, ok)
	}
	if _, ok := l.Find("etcd", "v3.6.15"); ok || len(l.ByName("nothing")) > 0 {
		t.Error("found an image that is not there")
	}
	img, p, ok := l.ByManifest(digestOf("3"))
	if !ok || img.Name != "etcd" || p.Platform != "linux/amd64" || p.Bytes() != 7 {
		t.Fatalf("ByManifest: %v %v %v", img, p, ok)
	}
	if _, _, ok := l.ByManifest(""); ok {
		t.Error("ByManifest found an image for the empty digest")
	}
	if _, ok := img.For("linux/arm64"); ok {
		t.Error("For found a platform that is not there")
	}
	if p, ok = img.For("linux/amd64"); !ok {
		t.Fatal("For did not find linux/amd64")
	}
	if f, ok := p.File("usr/bin/etcd"); !ok || f.Size != 9 {
		t.Errorf("File: %v %v", f, ok)
	}
	if _, ok := p.File("usr/bin/sh"); ok {
		t.Error("File found a file that is not there")
	}
}

func TestOnly(t *testing.T) {
	part := sample().Only("fcos", "nothing")
	if len(part.Images) != 1 || part.Images[0].Name != "fcos" || part.Validate() != nil {
		t.Errorf("%+v", part)
	}
}

func TestAnUnresolvedImageIsNeverFoundByDigestOrPlatform(t *testing.T) {
	l := sample()
	l.Images[0].Unresolved = "withdrawn" // not valid with platforms, and yet must not run
	if _, _, ok := l.ByManifest(digestOf("3")); ok {
		t.Error("ByManifest found it")
	}
	if _, ok := l.Images[0].For("linux/amd64"); ok {
		t.Error("For found it")
	}
}
