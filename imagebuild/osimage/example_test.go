package osimage_test

import (
	"context"
	"debug/elf"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/sign"
)

// A CNI plugin of one's own is added to the layer, and an image derived from a base that lies in an OCI layout.
func ExampleBuild() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	contents, key := inputs(dir)
	contents.Files = []osimage.File{{Path: "/usr/libexec/cni/mine", Source: filepath.Join(dir, "plugin"), Mode: 0o755}}
	contents.Policy.Repositories = []osimage.Repository{{Name: "registry.example.org/os/node", Key: contents.TrustKeys}}

	built, err := osimage.Build(context.Background(), osimage.BuildOptions{
		Base: base(filepath.Join(dir, "base.oci")), Out: filepath.Join(dir, "node.oci"),
		Repository: "registry.example.org/os/node", Tag: "44.1", Contents: contents, Key: key,
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := osimage.Verify(context.Background(), osimage.VerifyOptions{
		Image: filepath.Join(dir, "node.oci"), Lock: built.Lock, Signature: built.Signature, Trusted: contents.TrustKeys, Contents: contents,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(built.Image.Platform, built.Layers, "layers")
	fmt.Println("made again, it is the same:", report.OK())

	contents.Files[0].Path = "/opt/cni/bin/mine" // which is a link into /var on a node
	_, err = osimage.New(contents)
	fmt.Println(err)
	// Output:
	// linux/amd64 4 layers
	// made again, it is the same: true
	// OS layer: file to add: /opt/cni/bin/mine: on the node only /usr and /etc come from the image; a file in /usr/lib/tmpfiles.d makes what is below /var
}

// base writes a small base and returns where it is, with its digest.
func base(dir string) string {
	image, err := testbase.Image(testbase.Options{Layers: 3, LayerSize: 1000})
	if err != nil {
		log.Fatal(err)
	}
	if err := testbase.Write(dir, image); err != nil {
		log.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		log.Fatal(err)
	}
	return dir + "@" + digest.String()
}

const images = `schema: slipway.build/images/v2
number: 1
issued: "2026-11-21T17:00:00Z"
expires: "2031-11-20T17:00:00Z"
toolchain: go1.26.7
images:
  - name: pause
    version: v1.0.0
    repository: slipway/pause
    source:
      reference: example
    unresolved: only a name in an example
`

// inputs makes stand-ins for the node's programs, and a signed lock.
func inputs(dir string) (osimage.Contents, *sign.Key) {
	for _, name := range []string{"agent", "import", "exec", "verifier", "plugin"} {
		if err := os.WriteFile(filepath.Join(dir, name), testbase.Program(elf.EM_X86_64, name), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	c := osimage.Contents{Agent: filepath.Join(dir, "agent"), ImportTool: filepath.Join(dir, "import"), Exec: filepath.Join(dir, "exec"), Verifier: filepath.Join(dir, "verifier")}
	key, err := sign.LocalKey(filepath.Join(dir, "keys"))
	if err != nil {
		log.Fatal(err)
	}
	if c.TrustKeys, err = key.PublicPEM(); err != nil {
		log.Fatal(err)
	}
	l, err := lock.Parse("images.yaml", []byte(images))
	if err != nil {
		log.Fatal(err)
	}
	if c.Lock, err = l.YAML(""); err != nil {
		log.Fatal(err)
	}
	if c.LockSignature, err = key.Sign(c.Lock); err != nil {
		log.Fatal(err)
	}
	return c, key
}
