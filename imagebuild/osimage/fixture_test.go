package osimage

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/imagebuild/sign"
)

const fixtureLock = `schema: slipway.build/images/v2
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
    unresolved: only a name in a test
`

// contents returns contents whose lock is signed by a key of the test's.
func contents(t testing.TB) Contents {
	t.Helper()
	dir := t.TempDir()
	c := Contents{Agent: filepath.Join(dir, "agent"), ImportTool: filepath.Join(dir, "import"), Exec: filepath.Join(dir, "exec"), Verifier: filepath.Join(dir, "verifier")}
	for path, text := range map[string]string{c.Agent: "the agent", c.ImportTool: "the import tool", c.Exec: "the supervisor", c.Verifier: "the image verifier"} {
		if err := os.WriteFile(path, testbase.Program(elf.EM_X86_64, text), 0o600); err != nil { // the layer decides the mode
			t.Fatal(err)
		}
	}
	signed(t, &c, filepath.Join(dir, "keys"))
	return c
}

func signed(t testing.TB, c *Contents, keys string) {
	t.Helper()
	key, err := sign.LocalKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	if c.TrustKeys, err = key.PublicPEM(); err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse("images.yaml", []byte(fixtureLock))
	if err != nil {
		t.Fatal(err)
	}
	if c.Lock, err = l.YAML(""); err != nil {
		t.Fatal(err)
	}
	if c.LockSignature, err = key.Sign(c.Lock); err != nil {
		t.Fatal(err)
	}
}

func layer(t testing.TB, c Contents) *Layer {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	elfX86 = elf.EM_X86_64
	elfARM = elf.EM_AARCH64
)

func armProgram(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, testbase.Program(elfARM, "for another"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func run(t testing.TB, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// sum is the sha256 of what is read, in hexadecimal.
func sum(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}
