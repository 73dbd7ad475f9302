package osimage

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/osimage/transport"
	"slipway.build/slipway/imagebuild/sign"
)

const repository = "registry.example.org/os/node"

// plain writes a base without an ostree commit to a layout, and returns the layout and the pinned reference.
func plain(t *testing.T, o testbase.Options) (dir, pinned string) {
	t.Helper()
	image, err := testbase.Image(o)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "base.oci")
	if err := testbase.Write(dir, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return dir, dir + "@" + digest.String()
}

func options(t *testing.T, base, out string) BuildOptions {
	t.Helper()
	c := contents(t)
	key, err := sign.LocalKey(filepath.Join(filepath.Dir(c.Agent), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	c.Policy.Repositories = []Repository{{Name: repository, Key: c.TrustKeys}}
	return BuildOptions{Base: base, Out: out, Repository: repository, Tag: "test", Contents: c, Key: key}
}

func open(t *testing.T, text, architecture string) *transport.Image {
	t.Helper()
	ref, err := transport.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	image, err := transport.Open(t.Context(), ref, transport.Options{Architecture: architecture})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := image.Close(); err != nil {
			t.Error(err)
		}
	})
	return image
}

func TestAnImageIsDerivedFromALayoutAnArchiveAnIndexAndARegistryAlike(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	dir, pinned := plain(t, testbase.Options{Layers: 5, LayerSize: 1000})
	_, digest, _ := strings.Cut(pinned, "@")
	host := strings.TrimPrefix(server.URL, "http://")
	copyTo(t, dir, host+"/fcos:stable")
	index, indexDigest := indexOf(t, dir)
	want := ""
	key, err := sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, base, out string }{
		{"from a layout to a layout", pinned, ""},
		{"from an archive to a layout", tarOf(t, dir) + "@" + digest, ""},
		{"from an index to a layout", index + "@" + indexDigest, ""},
		{"from a registry to a layout", host + "/fcos:stable@" + digest, ""},
		{"from a layout to a registry", pinned, host + "/os/a:v1"},
		{"from a repository to another", host + "/fcos@" + digest, host + "/os/b:v1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.out == "" {
				tc.out = filepath.Join(t.TempDir(), "new", "node.oci")
			}
			opts := options(t, tc.base, tc.out)
			opts.Contents, opts.Key = signedBy(t, opts.Contents, key), key
			built, err := Build(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = built.Image.Derived
			}
			if built.Image.Derived != want {
				t.Errorf("digest %s, elsewhere %s", built.Image.Derived, want)
			}
			image := open(t, tc.out, "amd64")
			if got, _ := image.Digest(); got.String() != want {
				t.Errorf("written: %s", got)
			}
			layers, err := image.Layers()
			if err != nil || len(layers) != 6 {
				t.Fatalf("%d layers, %v", len(layers), err)
			}
			for n, l := range layers {
				r, err := l.Compressed()
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := v1.SHA256(r)
				r.Close()
				if want, _ := l.Digest(); err != nil || got != want {
					t.Errorf("layer %d: %s, %v", n, got, err)
				}
			}
			public, _ := opts.Key.PublicPEM()
			l, id, err := VerifyLock("os.yaml", built.Lock, built.Signature, public)
			if err != nil || id != opts.Key.ID() || l.Images[0].Derived != want || l.Images[0].Repositories[0] != repository {
				t.Errorf("OS lock %v by %s: %v", l, id, err)
			}
		})
	}
}

// signedBy gives contents the lock's signature and the policy of a key.
func signedBy(t *testing.T, c Contents, key *sign.Key) Contents {
	t.Helper()
	var err error
	if c.TrustKeys, err = key.PublicPEM(); err != nil {
		t.Fatal(err)
	}
	if c.LockSignature, err = key.Sign(c.Lock); err != nil {
		t.Fatal(err)
	}
	c.Policy.Repositories = []Repository{{Name: repository, Key: c.TrustKeys}}
	return c
}

func copyTo(t *testing.T, dir, to string) {
	t.Helper()
	ref, err := transport.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := transport.Write(t.Context(), ref, transport.Output{Image: open(t, dir, "amd64")}, transport.Options{}); err != nil {
		t.Fatal(err)
	}
}

func tarOf(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "base.ociarchive")
	run(t, "tar", "-C", dir, "-cf", file, ".")
	return file
}

// indexOf puts the image of a layout into an index beside one for another architecture.
func indexOf(t *testing.T, dir string) (layoutDir, digest string) {
	t.Helper()
	other, err := testbase.Image(testbase.Options{Layers: 2, LayerSize: 10, Architecture: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(i v1.Image, architecture string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}}
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), add(other, "arm64"), add(open(t, dir, "amd64"), "amd64"))
	layoutDir = filepath.Join(t.TempDir(), "index.oci")
	path, err := layout.Write(layoutDir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	h, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return layoutDir, h.String()
}

func TestTheBasesBlobsAreLinkedAndNotCopied(t *testing.T) {
	dir, pinned := plain(t, testbase.Options{Layers: 3, LayerSize: 100})
	out := filepath.Join(t.TempDir(), "node.oci")
	if _, err := Build(t.Context(), options(t, pinned, out)); err != nil {
		t.Fatal(err)
	}
	m, err := open(t, dir, "amd64").Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		a, errA := os.Stat(filepath.Join(dir, "blobs", "sha256", l.Digest.Hex))
		b, errB := os.Stat(filepath.Join(out, "blobs", "sha256", l.Digest.Hex))
		if errA != nil || errB != nil || !os.SameFile(a, b) {
			t.Errorf("%s is not the same file: %v, %v", l.Digest, errA, errB)
		}
	}
}

func TestBothArchitecturesAndALaterImageShareALayout(t *testing.T) {
	_, amd := plain(t, testbase.Options{Layers: 2, LayerSize: 100})
	_, arm := plain(t, testbase.Options{Layers: 2, LayerSize: 100, Architecture: "arm64"})
	out := filepath.Join(t.TempDir(), "node.oci")
	opts := options(t, amd, out)
	first, err := Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Base, opts.Tag, opts.Contents = arm, "test-arm64", forArm(t, opts.Contents)
	if _, err := Build(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	again, err := Build(t.Context(), opts) // a second time changes nothing
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, LockFile))
	if err != nil || !bytes.Equal(text, again.Lock) {
		t.Fatalf("OS lock: %v", err)
	}
	l, err := ParseLock(LockFile, text)
	if err != nil || len(l.Images) != 2 || l.Images[0].Derived != first.Image.Derived || l.Images[1].Platform != "linux/arm64" {
		t.Errorf("OS lock: %v, %v", l, err)
	}
	for _, i := range l.Images {
		open(t, out+"@"+i.Derived, "amd64")
	}
	opts.Key, err = sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "this key has not signed") {
		t.Errorf("another key signed along: %v", err)
	}
}

func forArm(t *testing.T, c Contents) Contents {
	t.Helper()
	dir := t.TempDir()
	c.Architecture = "arm64"
	for name, to := range map[string]*string{"agent": &c.Agent, "import": &c.ImportTool, "exec": &c.Exec, "verifier": &c.Verifier} {
		*to = filepath.Join(dir, name)
		if err := os.WriteFile(*to, testbase.Program(elfARM, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestWhatCannotBeBuiltIsRefusedAndNothingIsWritten(t *testing.T) {
	dir, pinned := plain(t, testbase.Options{Layers: 3, LayerSize: 5000})
	manifest, err := open(t, dir, "amd64").Manifest()
	if err != nil {
		t.Fatal(err)
	}
	second := manifest.Layers[1].Digest.Hex
	armDir, arm := plain(t, testbase.Options{Layers: 1, LayerSize: 10, Architecture: "arm64"})
	index, indexDigest := indexOf(t, dir)
	_ = armDir
	for name, tc := range map[string]struct {
		base   func(t *testing.T) string
		change func(*BuildOptions)
		want   string
	}{
		"a base that is not pinned":            {func(*testing.T) string { return dir }, nil, "not pinned"},
		"a base of another architecture":       {func(*testing.T) string { return arm }, nil, "linux/arm64; the programs of the layer are for linux/amd64"},
		"an index without the architecture":    {func(*testing.T) string { return index + "@" + indexDigest }, func(o *BuildOptions) { o.Contents.Architecture = "arm64" }, "EM_X86_64"},
		"programs of another architecture":     {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Agent = armProgram(t) }, "EM_AARCH64"},
		"another digest":                       {func(*testing.T) string { return dir + "@sha256:" + strings.Repeat("ab", 32) }, nil, "is not there"},
		"a digest that is none":                {func(*testing.T) string { return dir + "@sha256:ab" }, nil, "no sha256 digest"},
		"a layer that is missing":              {damaged(dir, pinned, second, os.Remove), nil, "layer 2 of 4"},
		"a layer that is cut off":              {damaged(dir, pinned, second, func(p string) error { return os.Truncate(p, 100) }), nil, "100 bytes"},
		"a layer with a flipped bit":           {damaged(dir, pinned, second, flip), nil, "expected digest sha256:"},
		"a manifest with a flipped bit":        {damaged(dir, pinned, pinned[len(pinned)-64:], flip), nil, "expected digest sha256:"},
		"a configuration with a flipped bit":   {damaged(dir, pinned, manifest.Config.Digest.Hex, flip), nil, "expected digest sha256:"},
		"a layout without its index":           {damaged(dir, pinned, "../../index.json", os.Remove), nil, "index.json"},
		"a directory that is no layout":        {func(t *testing.T) string { return t.TempDir() + "@" + indexDigest }, nil, "no OCI layout"},
		"an archive that is cut off":           {cutArchive(dir, pinned), nil, "unexpected EOF"},
		"a layer of an unknown type":           {unknownLayer, nil, "layer 1 of 1 of the base is of type \"application/x-squashfs\""},
		"an output that holds something else":  {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Out = filepath.Dir(o.Contents.Agent) }, "not empty"},
		"an output with a digest":              {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Out += "@" + indexDigest }, "name a tag"},
		"an added file that is in the layer":   {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Files = []File{{Path: "/usr/bin/slipway-agent"}} }, "twice"},
		"an added file below /var":             {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Files = []File{{Path: "/var/lib/a"}} }, "tmpfiles.d"},
		"an added file that sets its user":     {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Files = []File{{Path: "/usr/bin/a", Mode: 0o755 | os.ModeSetuid}} }, "setuid"},
		"a repository with a tag":              {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Policy.Repositories[0].Name += ":v1" }, "no repository"},
		"a policy scope that is none":          {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.Policy.Accept = []string{"oci"} }, "no scope"},
		"a lock that somebody else has signed": {func(*testing.T) string { return pinned }, func(o *BuildOptions) { o.Contents.LockSignature = contents(t).LockSignature }, "none of the"},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			opts := options(t, tc.base(t), filepath.Join(top, "node.oci"))
			if tc.change != nil {
				tc.change(&opts)
			}
			_, err := Build(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want %q in it", err, tc.want)
			}
			if left, _ := os.ReadDir(top); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func damaged(dir, pinned, blob string, damage func(string) error) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		copied := filepath.Join(t.TempDir(), "damaged.oci")
		run(t, "cp", "-r", dir, copied)
		if err := damage(filepath.Join(copied, "blobs", "sha256", blob)); err != nil {
			t.Fatal(err)
		}
		return copied + pinned[strings.Index(pinned, "@"):]
	}
}

func cutArchive(dir, pinned string) func(*testing.T) string {
	return func(t *testing.T) string {
		file := tarOf(t, dir)
		if err := os.Truncate(file, 9000); err != nil {
			t.Fatal(err)
		}
		return file + pinned[strings.Index(pinned, "@"):]
	}
}

func unknownLayer(t *testing.T) string {
	image, err := testbase.Image(testbase.Options{Layers: 1, LayerSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "odd.oci")
	if err := testbase.Write(dir, image); err != nil {
		t.Fatal(err)
	}
	raw = bytes.ReplaceAll(raw, []byte(m.Layers[0].MediaType), []byte("application/x-squashfs"))
	digest, _, _ := v1.SHA256(bytes.NewReader(raw))
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", digest.Hex), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s@%s", dir, digest)
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o644)
}

func TestACancelledBuildLeavesNothing(t *testing.T) {
	_, pinned := plain(t, testbase.Options{Layers: 20, LayerSize: 100})
	top := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	opts := options(t, pinned, filepath.Join(top, "node.oci"))
	opts.Progress = func(step string) {
		if step == "write" {
			cancel()
		}
	}
	if _, err := Build(ctx, opts); err == nil {
		t.Error("built")
	}
	if left, _ := os.ReadDir(top); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
