package release

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", name, got, want)
	}
}

// held takes images of a lock as a node has them.
func held(t *testing.T, l *lock.Lock, pods bool, names ...string) []Held {
	t.Helper()
	var all []Held
	for _, name := range names {
		images, err := Select(l, name)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := images[0].For("linux/amd64")
		if !ok {
			t.Fatalf("no %s for linux/amd64", name)
		}
		all = append(all, Held{images[0], p, pods})
	}
	return all
}

func TestDiffSaysWhatHappenedToEveryImage(t *testing.T) {
	from := lockOf(t, kubernetes("v1.36.1"), one("etcd", "v3.6.16"), one("coredns", "v1.15.0"), one("pause", "v1.0.0"), one("cni", "v1.9.1"), one("gone", "v1.0.0"))
	to := lockOf(t, kubernetes("v1.36.1"), kubernetes("v1.36.3"), one("etcd", "v3.6.17"), one("coredns", "v1.15.0"), one("pause", "v1.0.0"), one("cni", "v1.9.1"))
	to.Number = 8
	change := func(name string, f func(*lock.Image)) { f(to.ByName(name)[0]) }
	change("coredns", func(i *lock.Image) {
		i.Source.GoSum, i.Platforms[0] = sum("other"), platformOf("coredns", "linux/amd64", "patched")
	})
	change("pause", func(i *lock.Image) { i.Supported = "2027-01-01" })
	change("cni", func(i *lock.Image) { i.Platforms[0] = platformOf("cni", "linux/amd64", "by chance") })
	d, err := Diff(from, to)
	if err != nil {
		t.Fatal(err)
	}
	d.Nodes = []NodeDelta{{
		Role: "master", Platform: "linux/amd64", From: "v1.36.1", To: "v1.36.3",
		Fetch:   Between(held(t, from, false, "kube-apiserver", "etcd", "cni"), held(t, to, false, "kube-apiserver", "etcd", "cni")),
		Restart: []string{"slipway-etcd.service", "slipway-kube-apiserver.service"},
	}, {Role: "worker", Platform: "linux/amd64", From: "v1.36.1", To: "v1.36.1"}}
	var text bytes.Buffer
	if err := d.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.golden", text.String())
	if raw, err := json.Marshal(d); err != nil || !strings.Contains(string(raw), `"kind":"rebuilt"`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestTheSameLockDiffersInNothing(t *testing.T) {
	l := sound(t)
	d, err := Diff(l, l)
	if err != nil || len(d.Images) != 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	var text bytes.Buffer
	if err := d.WriteText(&text); err != nil || !strings.HasPrefix(text.String(), "Both are lock 7") {
		t.Errorf("%q, %v", text.String(), err)
	}
}

func TestWhatIsOnTheNodeDoesNotTravel(t *testing.T) {
	layer := func(name string, size int64) lock.Layer {
		return lock.Layer{Digest: sum("blob", name), DiffID: sum("diff", name), Size: size}
	}
	recompressed := func(name string, size int64) lock.Layer {
		return lock.Layer{Digest: sum("other blob", name), DiffID: sum("diff", name), Size: size}
	}
	node := func(manifest string, pods bool, files string, layers ...lock.Layer) Held {
		p := &lock.Platform{Manifest: sum("manifest", manifest), Size: 10, Layers: layers}
		for _, f := range files {
			p.Files = append(p.Files, lock.Binary{Path: "f" + string(f), SHA256: string(f), Size: 1})
		}
		return Held{&lock.Image{Name: manifest, Version: "v1"}, p, pods}
	}
	for name, tt := range map[string]struct {
		have, want     Held
		bytes, present int64
		reuse          string
	}{
		"the same manifest":            {node("a", false, "x", layer("1", 100)), node("a", false, "x", layer("1", 100)), 0, 0, ""},
		"another layer":                {node("a", false, "x", layer("1", 100)), node("b", false, "y", layer("2", 200)), 210, 0, ""},
		"the same layer":               {node("a", false, "x", layer("1", 100)), node("b", false, "xy", layer("1", 100), layer("2", 200)), 210, 100, "diffID"},
		"the same layer, recompressed": {node("a", false, "x", layer("1", 100)), node("b", false, "xy", recompressed("1", 90)), 10, 90, "diffID"},
		"the same files":               {node("a", false, "xy", layer("1", 100)), node("b", false, "x", layer("2", 70)), 10, 70, "files"},
		"some of the files":            {node("a", false, "xy", layer("1", 100)), node("b", false, "xz", layer("2", 70)), 80, 0, ""},
		"a blob for pods":              {node("a", true, "x", layer("1", 100)), node("b", true, "x", layer("1", 100)), 10, 100, "blob"},
		"unpacked, wanted for pods":    {node("a", false, "x", layer("1", 100)), node("b", true, "x", layer("1", 100)), 110, 0, ""},
		"for pods, wanted unpacked":    {node("a", true, "x", layer("1", 100)), node("b", false, "x", layer("1", 100)), 110, 0, ""},
		"recompressed for pods":        {node("a", true, "x", layer("1", 100)), node("b", true, "x", recompressed("1", 90)), 100, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := Between([]Held{tt.have}, []Held{tt.want})
			if f.Bytes != tt.bytes || f.Present != tt.present {
				t.Errorf("%d bytes travel and %d are there, want %d and %d", f.Bytes, f.Present, tt.bytes, tt.present)
			}
			if len(f.Images) > 0 && f.Images[0].Layers[0].Reuse != tt.reuse {
				t.Errorf("reuse %q, want %q", f.Images[0].Layers[0].Reuse, tt.reuse)
			}
		})
	}
}

func TestAnExplanationGoesFromTheSourceToTheSignature(t *testing.T) {
	l := sound(t)
	l.Accepted = []lock.Acceptance{{Rule: "calico", Image: "etcd", Reason: "only to be seen here", Until: "2027-01-31"}}
	all, err := Explain(l, Signature{File: "images.yaml.sig", KeyID: sum("key")}, "etcd@v3.6.16")
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	var text bytes.Buffer
	if err := all[0].WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "explain.golden", text.String())
	all, err = Explain(l, Signature{Problem: "there is no signature"}, "kubelet")
	if err != nil || len(all) != 3 || all[0].Image.Version != "v1.36.3" || all[2].Image.Version != "v1.35.4" {
		t.Fatalf("all versions, the newest first: %v, %v", all, err)
	}
	for name, want := range map[string]string{"kubelet@v1.36.2": "it has kubelet@v1.36.3, kubelet@v1.36.1, kubelet@v1.35.4", "nope": `no image "nope" in the lock; it has coredns, etcd, kube-apiserver`} {
		if _, err := Explain(l, Signature{}, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
