package cli

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/imagebuild/trust"
)

// nodeOS is the layout of a small OS image with the fixture's lock in it, and the digest of its last layer.
func nodeOS(t *testing.T, f *layouttest.Fixture, key *sign.Key) (dir string, built *osimage.Built, ours string) {
	t.Helper()
	top := t.TempDir()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	base, err := testbase.Image(testbase.Options{Layers: 2, LayerSize: 1000})
	ok(err)
	ok(testbase.Write(filepath.Join(top, "base.oci"), base))
	digest, err := base.Digest()
	ok(err)
	for _, name := range []string{"agent", "import", "exec", "verifier"} {
		ok(os.WriteFile(filepath.Join(top, name), testbase.Program(elf.EM_X86_64, name), 0o600))
	}
	const repository = "registry.example.org/os/node"
	dir = filepath.Join(top, "node.oci")
	built, err = osimage.Build(t.Context(), osimage.BuildOptions{
		Base: filepath.Join(top, "base.oci") + "@" + digest.String(), Out: dir, Repository: repository, Tag: "44.1", Key: key,
		Contents: osimage.Contents{
			Agent: filepath.Join(top, "agent"), ImportTool: filepath.Join(top, "import"), Exec: filepath.Join(top, "exec"), Verifier: filepath.Join(top, "verifier"),
			Lock: f.Text, LockSignature: f.Signature, TrustKeys: f.Keys,
			Policy: osimage.Policy{Repositories: []osimage.Repository{{Name: repository, Key: f.Keys}}},
		},
	})
	ok(err)
	l, err := layout.Open(dir)
	ok(err)
	defer l.Close()
	hash, err := v1.NewHash(built.Image.Derived)
	ok(err)
	image, err := l.Image(v1.Descriptor{Digest: hash})
	ok(err)
	m, err := image.Manifest()
	ok(err)
	return dir, built, m.Layers[len(m.Layers)-1].Digest.String()
}

func TestABundleWithANodeOSIsProvedWithoutANetwork(t *testing.T) {
	f := layouttest.New(t)
	osDir, built, ours := nodeOS(t, f, f.Signer)
	flags := files(t, f)
	dir := t.TempDir()
	out, site := filepath.Join(dir, "out.tar"), filepath.Join(dir, "site")
	bundle := append([]string{"images", "bundle", out, "--from", f.Dir, "--os", osDir, "--state", dir}, flags...)
	if code, said, errs := netless(t, bundle...); code != ExitOK || !strings.Contains(said, "os/node:44.1") {
		t.Fatalf("bundle: %d, %s%s", code, said, errs)
	}
	proved := func(path string) *trust.Report {
		t.Helper()
		code, said, errs := netless(t, "images", "verify", "--offline", path, "--complete", "-o", "json", "--state", dir, "--key-id", f.Signer.ID())
		var r trust.Report
		if err := json.Unmarshal([]byte(said), &r); err != nil || (code == ExitOK) != r.Proved() {
			t.Fatalf("verify %s: %d, %v, %s%s", path, code, err, said, errs)
		}
		return &r
	}
	check := func(path string) {
		t.Helper()
		r := proved(path)
		if !r.Proved() || !slices.Contains(r.Whole, "os fedora-coreos linux/amd64") {
			t.Errorf("%s: findings %v, whole %v", path, r.Findings, r.Whole)
		}
		signatures := 0
		for _, a := range r.Attached {
			if a.To == built.Image.Derived {
				signatures++
			}
		}
		if signatures != 2 {
			t.Errorf("%s: %d signatures of the OS image are there, want both forms: %+v", path, signatures, r.Attached)
		}
	}
	check(out)
	if code, said, errs := netless(t, "images", "unbundle", out, site, "--state", dir, "--key-id", f.Signer.ID()); code != ExitOK {
		t.Fatalf("unbundle: %d, %s%s", code, said, errs)
	}
	check(site)

	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := os.ReadFile(filepath.Join(osDir, "blobs", "sha256", strings.TrimPrefix(ours, "sha256:")))
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, layer)+len(layer)/2] ^= 1
	if err := os.WriteFile(out, data, 0o644); err != nil {
		t.Fatal(err)
	}
	r := proved(out)
	if !slices.ContainsFunc(r.Findings, func(found trust.Finding) bool {
		return found.Kind == trust.WrongDigest && found.Image == "os fedora-coreos linux/amd64" && found.Part == "layer 3 of 3" && found.Blob == ours
	}) {
		t.Errorf("a changed layer in the archive: %v", r.Findings)
	}
}

func TestAnOSLayerThatWasChangedIsNotBundled(t *testing.T) {
	f := layouttest.New(t)
	osDir, _, ours := nodeOS(t, f, f.Signer)
	changed := *f
	changed.Dir = osDir
	changed.Flip(t, ours)
	out := filepath.Join(t.TempDir(), "out.tar")
	code, said, errs := netless(t, append([]string{"images", "bundle", out, "--from", f.Dir, "--os", osDir, "--state", t.TempDir()}, files(t, f)...)...)
	if code != ExitFailed || !strings.Contains(errs, "expected digest "+ours+", found sha256:") {
		t.Errorf("%d, %s%s", code, said, errs)
	}
	if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnOSLockOfAForeignKeyIsRefused(t *testing.T) {
	f := layouttest.New(t)
	foreign, err := sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	osDir, _, _ := nodeOS(t, f, foreign)
	dir := t.TempDir()
	out := filepath.Join(dir, "out.tar")
	flags := files(t, f)
	for _, command := range [][]string{
		{"images", "bundle", out, "--from", f.Dir, "--os", osDir, "--state", dir},
		{"images", "verify", "--offline", osDir, "--state", dir},
	} {
		code, said, errs := netless(t, append(command, flags...)...)
		if code != ExitFailed || !strings.Contains(errs, "OS lock") || !strings.Contains(errs, "is signed by none of the trusted keys") {
			t.Errorf("%v: %d, %s%s", command[:2], code, said, errs)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	pem, err := foreign.PublicPEM() // somebody who trusts both keys has made a bundle
	if err != nil {
		t.Fatal(err)
	}
	both := *f
	both.Keys = append(slices.Clone(f.Keys), pem...)
	if code, said, errs := netless(t, append([]string{"images", "bundle", out, "--from", f.Dir, "--os", osDir, "--state", dir}, files(t, &both)...)...); code != ExitOK {
		t.Fatalf("bundle: %d, %s%s", code, said, errs)
	}
	code, said, errs := netless(t, append([]string{"images", "verify", "--offline", out, "--state", dir}, flags...)...)
	if code != ExitFailed || !strings.Contains(errs, "is signed by none of the trusted keys") {
		t.Errorf("verify: %d, %s%s", code, said, errs)
	}
}
