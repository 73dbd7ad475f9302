//go:build vm

package vm

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/osimage/program"
	"slipway.build/slipway/test/testnode"
)

// root is the guest's file system: the OS layer above the base tree, as a server of the local cloud has them, and
// above both what is the guest's own.
type root struct{ dir string }

// newRoot compiles the node's programs, makes the OS layer with the lock that the key has signed, and puts it on the base tree.
func newRoot(t *testing.T, text, signature []byte, key *ecdsa.PrivateKey) root {
	t.Helper()
	base := testnode.BaseTree(t)
	dir, err := os.MkdirTemp("/var/tmp", "slipt-vm-") // an overlay's upper directory is no overlay
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	programs, err := program.Compile(t.Context(), program.Options{Source: repository(t), Architecture: "amd64", Dir: dir})
	must(t, err)
	layer, err := osimage.New(osimage.Contents{Agent: programs.Agent, ImportTool: programs.ImportTool, Exec: programs.Exec, Verifier: programs.Verifier,
		TrustKeys: public(t, key), Lock: text, LockSignature: signature})
	must(t, err)
	image := filepath.Join(dir, "os")
	must(t, os.Mkdir(image, 0o755))
	extracted, err := layer.ExtractTo(image)
	must(t, err)
	r := root{filepath.Join(dir, "root")}
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{r.dir, upper, work} {
		must(t, os.Mkdir(d, 0o755))
	}
	must(t, unix.Mount("overlay", r.dir, "overlay", 0, "lowerdir="+extracted+":"+base+",upperdir="+upper+",workdir="+work))
	t.Cleanup(func() { must(t, unix.Unmount(r.dir, unix.MNT_DETACH)) })
	return r
}

func public(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// path is where the test sees a path of the guest.
func (r root) path(name string) string { return filepath.Join(r.dir, name) }

// write makes a file of the guest, and the directories that it is in.
func (r root) write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	must(t, os.WriteFile(r.path(name), []byte(content), mode))
	must(t, os.Chmod(r.path(name), mode))
}

// enable starts a unit with the system.
func (r root) enable(t *testing.T, unit string) {
	t.Helper()
	link := r.path("/etc/systemd/system/multi-user.target.wants/" + unit)
	must(t, os.MkdirAll(filepath.Dir(link), 0o755))
	must(t, os.Symlink("../"+unit, link))
}

// read is a file of the guest.
func (r root) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(r.path(name))
	must(t, err)
	return strings.TrimSpace(string(text))
}
