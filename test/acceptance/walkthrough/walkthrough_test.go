//go:build acceptance

package walkthrough

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage/testbase"
	"slipway.build/slipway/test/harness"
)

const (
	page    = "docs/images.md"
	section = "## From nothing to a node OS of your own"
)

func TestThePageLeadsToANodeOS(t *testing.T) {
	root := harness.Repository(t)
	blocks := commands(t, filepath.Join(root, page))
	if !strings.HasPrefix(blocks[0], "BASE=") || len(blocks) < 4 {
		t.Fatalf("%s: the commands of %q do not begin with BASE=, or are few: %q", page, section, blocks)
	}
	top := t.TempDir()
	clone, base := filepath.Join(top, "slipway"), filepath.Join(top, "base.oci")
	copyTracked(t, root, clone)
	before := locked(t, clone)

	settings := fmt.Sprintf("BASE=%s@%s\nREPOSITORY=registry.example.org/os/node\n", base, writeBase(t, base))
	cmd := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", settings+strings.Join(blocks[1:], "\n"))
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)

	after := locked(t, clone)
	if after.Number != before.Number+1 || len(after.Images) != len(before.Images)+1 {
		t.Errorf("lock %d of %d images became lock %d of %d", before.Number, len(before.Images), after.Number, len(after.Images))
	}
	for _, was := range before.Images {
		if is, found := after.Find(was.Name, was.Version); !found || !reflect.DeepEqual(*is, was) {
			t.Errorf("%s@%s is no longer what it was", was.Name, was.Version)
		}
	}
}

// commands returns the blocks of shell in the section.
func commands(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", page, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?) *```").FindAllStringSubmatch(rest, -1) {
		blocks = append(blocks, regexp.MustCompile("(?m)^   ").ReplaceAllString(m[1], "")) // they stand in a list
	}
	if len(blocks) == 0 {
		t.Fatalf("%s: no commands in %q", page, section)
	}
	return blocks
}

// writeBase makes a plain base of as many layers as Fedora CoreOS has, and returns its digest.
func writeBase(t *testing.T, dir string) string {
	t.Helper()
	image, err := testbase.Image(testbase.Options{Layers: 400, LayerSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := testbase.Write(dir, image); err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func locked(t *testing.T, clone string) *lock.Lock {
	t.Helper()
	l, err := lock.Load(filepath.Join(clone, "images.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// copyTracked copies what git would, as it is in the work tree.
func copyTracked(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `git ls-files -coz --exclude-standard | tar --null -T - -c | tar -x -C "$1"`, "copy", to)
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("copy the clone: %v\n%s", err, out)
	}
}
