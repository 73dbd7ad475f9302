package osimage

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/osimage/testbase"
)

var update = flag.Bool("update", false, "write golden files")

func TestTheLayerHoldsWhatANodeNeedsAndNothingElse(t *testing.T) {
	c := contents(t)
	var list strings.Builder
	var data bytes.Buffer
	if _, err := layer(t, c).WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(&data)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "%c %04o %d:%d %d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.Unix(), h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&list, " -> %s", h.Linkname)
		}
		list.WriteByte('\n')
		top := strings.SplitN(h.Name, "/", 2)[0]
		if top != "usr" && top != "etc" {
			t.Errorf("%s is outside of /usr and /etc", h.Name)
		}
	}
	golden := filepath.Join("testdata", "layer.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if list.String() != string(want) {
		t.Errorf("the layer is now\n%swant\n%s(go test -update accepts it)", list.String(), want)
	}
}

func TestTheLayerIsTheSameWhereverItIsBuilt(t *testing.T) {
	c := contents(t)
	first := layer(t, c)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	t.Setenv("TZ", "Pacific/Kiritimati")
	dir := t.TempDir()
	moved := c
	moved.Agent, moved.ImportTool, moved.Exec, moved.Verifier = filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c"), filepath.Join(dir, "d")
	for from, to := range map[string]string{c.Agent: moved.Agent, c.ImportTool: moved.ImportTool, c.Exec: moved.Exec, c.Verifier: moved.Verifier} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	second := layer(t, moved)
	if first.DiffID() != second.DiffID() {
		t.Errorf("diff IDs %s and %s", first.DiffID(), second.DiffID())
	}
	if err := os.WriteFile(moved.Agent, testbase.Program(elf.EM_X86_64, "another"), 0o777); err != nil {
		t.Fatal(err)
	}
	if third := layer(t, moved); third.DiffID() == first.DiffID() {
		t.Error("another agent makes no other layer")
	}
}

func TestExtractingGivesTheFilesOwnersAndModesOnceAndForAll(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	l := layer(t, contents(t))
	dir := t.TempDir()
	tree, err := l.ExtractTo(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, strings.TrimPrefix(l.DiffID(), "sha256:")); tree != want {
		t.Errorf("tree %s, want %s", tree, want)
	}
	for path, mode := range map[string]os.FileMode{
		"usr/bin/slipway-agent": 0o755, "usr/libexec/slipway/slipway-import": 0o755, "usr/libexec/slipway/slipway-exec": 0o755, "usr/share/slipway/trust/lock.pub": 0o644, "usr/lib/systemd": 0o755, ".": 0o755,
	} {
		st, err := os.Stat(filepath.Join(tree, path))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != mode || st.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s: mode %v", path, st.Mode())
		}
	}
	if target, _ := os.Readlink(filepath.Join(tree, generatorPath)); target != "/usr/bin/slipway-agent" {
		t.Errorf("the generator is a link to %q", target)
	}
	mark := filepath.Join(tree, "mark")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ExtractTo(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error("a tree that was there was made again")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left beside the tree: %v", entries)
	}
}

func TestContentsThatChangeAfterTheDigestAreNotExtracted(t *testing.T) {
	c := contents(t)
	l := layer(t, c)
	if err := os.WriteFile(c.Agent, testbase.Program(elf.EM_X86_64, "THE agent"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := l.ExtractTo(dir); err == nil {
		t.Error("extracted")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestALockThatTheBakedInKeysDoNotVouchForIsRefused(t *testing.T) {
	c, other := contents(t), contents(t)
	c.LockSignature = other.LockSignature
	_, err := New(c)
	if !fault.IsTerminal(err) {
		t.Errorf("error = %v, want a terminal one", err)
	}
	c = contents(t)
	c.Agent = filepath.Join(t.TempDir(), "nothing")
	if _, err := New(c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing agent: %v", err)
	}
}

// systemd's own tools are the judges of what the layer says to systemd.
func TestSystemdAcceptsTheLayersUnitAndSettings(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not installed")
	}
	tree, err := layer(t, contents(t)).ExtractTo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "slipway-agent.service")
	text, err := os.ReadFile(filepath.Join(tree, unitDir, "slipway-agent.service"))
	if err != nil {
		t.Fatal(err)
	}
	// The machine that tests run on has no agent.
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/bin/slipway-agent"), []byte("/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"the unit": {"systemd-analyze", "verify", "--man=no", "--recursive-errors=one", unit},
		"users":    {"systemd-sysusers", "--dry-run", filepath.Join(tree, "usr/lib/sysusers.d/slipway.conf")},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil || strings.Contains(string(out), "nknown") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
