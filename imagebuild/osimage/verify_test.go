package osimage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/osimage/testbase"
)

func TestAnImageIsVerifiedByBuildingItAgain(t *testing.T) {
	_, pinned := plain(t, testbase.Options{Layers: 3, LayerSize: 100})
	out := filepath.Join(t.TempDir(), "node.oci")
	build := options(t, pinned, out)
	built, err := Build(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(change func(*VerifyOptions)) (*Report, error) {
		o := VerifyOptions{Image: out, Lock: built.Lock, Signature: built.Signature, Trusted: build.Contents.TrustKeys, Contents: build.Contents, Base: pinned}
		o.Contents.LockSignature, o.Contents.Policy = nil, Policy{}
		change(&o)
		return Verify(t.Context(), o)
	}
	r, err := verify(func(*VerifyOptions) {})
	if err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
	other := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(other, testbase.Program(elfX86, "another agent"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = verify(func(o *VerifyOptions) {
		o.Contents.Agent = other
		o.Contents.Files = []File{{Path: "/usr/bin/new", Data: []byte("x")}}
	})
	if err != nil || r.OK() || len(r.Differences) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, want := range []struct{ path, image, here string }{{"/usr/bin/new", "", "1 bytes"}, {"/usr/bin/slipway-agent", "mode 0755", "mode 0755"}} {
		d := r.Differences[i]
		if d.Path != want.path || !strings.Contains(d.Image, want.image) || !strings.Contains(d.Here, want.here) || d.Image == d.Here {
			t.Errorf("difference %+v, want %+v", d, want)
		}
	}
	failed := map[string]bool{}
	for _, c := range r.Checks {
		failed[c.What] = !c.OK
	}
	if !failed["our layer made again"] || !failed["image derived again"] || failed["image"] {
		t.Errorf("checks %+v", r.Checks)
	}
	for name, change := range map[string]func(*VerifyOptions){
		"signed by none":    func(o *VerifyOptions) { o.Trusted = contents(t).TrustKeys },
		"has no image":      func(o *VerifyOptions) { o.Image = pinned },
		"0 images":          func(o *VerifyOptions) { o.Platform = "linux/arm64" },
		"make the layer":    func(o *VerifyOptions) { o.Contents.TrustKeys = contents(t).TrustKeys },
		"signed by none of": func(o *VerifyOptions) { o.Lock = append(o.Lock, '\n') },
	} {
		if _, err := verify(change); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error = %v, want %q", err, name)
		}
	}
}

func TestABlobThatWasTamperedWithIsFound(t *testing.T) {
	_, pinned := plain(t, testbase.Options{Layers: 1, LayerSize: 100})
	out := filepath.Join(t.TempDir(), "node.oci")
	build := options(t, pinned, out)
	built, err := Build(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	m, err := open(t, out, "amd64").Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := flip(filepath.Join(out, "blobs", "sha256", m.Layers[1].Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(t.Context(), VerifyOptions{Image: out, Lock: built.Lock, Signature: built.Signature, Trusted: build.Contents.TrustKeys, Contents: build.Contents})
	if err == nil && r.OK() {
		t.Error("verified")
	}
}
