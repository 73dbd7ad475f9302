package cli

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// desk is a directory with files to work on, and the commands on them.
type desk struct {
	*testing.T
	dir string
}

func newDesk(t *testing.T, files map[string]string) desk {
	d := desk{t, t.TempDir()}
	for name, text := range files {
		path := d.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) read(name string) string {
	d.Helper()
	b, err := os.ReadFile(d.path(name))
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}

// run runs `slipway os ignition`; @ stands for the directory.
func (d desk) run(args ...string) (code int, stdout, stderr string) {
	args = append([]string{"os", "ignition"}, args...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "@", d.dir)
	}
	var out, errs bytes.Buffer
	code = Run(d.Context(), args, IO{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, strings.ReplaceAll(out.String(), d.dir, "@"), strings.ReplaceAll(errs.String(), d.dir, "@")
}

func (d desk) must(args ...string) string {
	d.Helper()
	code, stdout, stderr := d.run(args...)
	if code != ExitOK {
		d.Fatalf("%q: exit %d, %s%s", args, code, stdout, stderr)
	}
	return stdout
}

const butaneText = "variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents:\n        inline: |\n          hello\n"

func TestIgnitionIsRenderedCheckedAndWrittenBack(t *testing.T) {
	d := newDesk(t, map[string]string{
		"a.bu": butaneText, "agent.yaml": "controlPlane: https://a.example:9512\nca: CA\nnode: 6f1c\ntoken: one-time-1234567890\n",
		"keys": "# mine\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBSlipwaySlipwaySlipwaySlipwaySlipwaySlip me\n",
		"bad":  "variant: fcos\nversion: 1.7.0\nstorage:\n  flies: []\n", "pinless.ign": `{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"https://a.example/b"}]}}}`,
	})
	d.must("render", "@/a.bu", "--node", "@/agent.yaml", "--hostname", "m-0", "--authorized-keys", "@/keys", "--volume", "data=/dev/vdb,tpm2,mount=/var/data", "--karg", "quiet", "--out", "@/a.ign")
	for _, want := range []string{"/etc/motd", "/etc/slipway/agent.yaml", "AAAAC3", "aes-xts-plain64", "quiet", `"version":"3.6.0"`} {
		if !strings.Contains(d.read("a.ign"), want) {
			t.Errorf("no %s in %s", want, d.read("a.ign"))
		}
	}
	if st, err := os.Stat(d.path("a.ign")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("user data with a token are readable: %v, %v", st.Mode(), err)
	}
	if out := d.must("validate", "@/a.ign", "@/a.bu"); !strings.HasPrefix(out, "@/a.ign is valid: ") {
		t.Errorf("validate: %s", out)
	}
	d.must("butane", "@/a.ign", "--out", "@/again.bu")
	d.must("render", "@/again.bu", "--out", "@/again.ign")
	if out := d.must("butane", "@/again.ign"); out != d.read("again.bu") {
		t.Errorf("the second time %s", out)
	}
	if out := d.must("render", "@/a.bu", "--to", "3.3.0"); !strings.Contains(out, `"version":"3.3.0"`) {
		t.Errorf("--to 3.3.0: %s", out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"render", "@/bad"}, ExitFailed, "slipway: @/bad:4:3: warning: unknown key flies"},
		{[]string{"render"}, ExitUsage, "name a Butane configuration"},
		{[]string{"render", "@/none"}, ExitFailed, "no such file"},
		{[]string{"render", "@/a.bu", "--url", "https://a.example/b"}, ExitUsage, "--url and --rest"},
		{[]string{"render", "@/a.bu", "--volume", "x"}, ExitUsage, "nothing opens it"},
		{[]string{"render", "@/a.bu", "--hostname", "x"}, ExitUsage, "belong to --node"},
		{[]string{"render", "--node", "@/bad", "--hostname", "x"}, ExitFailed, "@/bad: yaml"},
		{[]string{"render", "@/a.bu", "--limit", "50", "--out", "@/never"}, ExitFailed, "at most 50"},
		{[]string{"validate", "@/pinless.ign"}, ExitFailed, "1 of the findings"},
		{[]string{"butane", "@/a.bu"}, ExitFailed, "@/a.bu:1:1: error: "},
	} {
		code, _, stderr := d.run(c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d, %s", c.args, code, stderr)
		}
	}
	if _, err := os.Stat(d.path("never")); err == nil {
		t.Error("a file was written")
	}
	code, stdout, _ := d.run("validate", "-o", "json", "@/pinless.ign")
	var v struct {
		Valid   bool
		Entries []struct {
			Rule string
			Line int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != ExitFailed || v.Valid || len(v.Entries) != 1 || v.Entries[0].Rule != "pinned" || v.Entries[0].Line != 1 {
		t.Errorf("exit %d, %s, %v", code, stdout, err)
	}
}

func TestWhatDoesNotFitIntoUserDataIsSplit(t *testing.T) {
	random, noise := rand.New(rand.NewPCG(1, 2)), make([]byte, 70000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	d := newDesk(t, map[string]string{"a.bu": butaneText + "    - path: /etc/large\n      contents:\n        local: large\n", "files/large": string(noise)})
	if code, _, stderr := d.run("render", "@/a.bu", "--files-dir", "@/files", "--limit", "2000", "--out", "@/a.ign"); code != ExitFailed || !strings.Contains(stderr, "at most 2000") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	out := d.must("render", "@/a.bu", "--files-dir", "@/files", "--limit", "2000", "--url", "https://a.example/rest.ign", "--out", "@/a.ign", "--rest", "@/rest.ign", "-o", "json")
	if !strings.Contains(out, `"hash":"sha256-`) || len(d.read("a.ign")) > 2000 || !strings.HasPrefix(d.read("rest.ign"), "\x1f\x8b") {
		t.Errorf("%s", out)
	}
	if out := d.must("validate", "@/a.ign"); !strings.Contains(out, "is valid") {
		t.Errorf("%s", out)
	}
}

func TestLiveMediaAreChangedAndReadByCommands(t *testing.T) {
	d := newDesk(t, map[string]string{
		"tree/images/ignition.img": string(make([]byte, 262144)), "tree/isolinux/isolinux.cfg": "append quiet\n" + strings.Repeat("#", 50) + "\n",
		"tree/coreos/kargs.jso": `{"default":"quiet","files":[{"path":"isolinux/isolinux.cfg","offset":7}],"size":56}`,
		"a.bu":                  butaneText, "eth0.nmconnection": "[connection]\nid=eth0\n", "no.iso": "no image", "initrd": "070701 is no archive but what there is",
	})
	if out, err := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-o", d.path("live.iso"), "-V", "live", d.path("tree")).CombinedOutput(); err != nil {
		t.Fatalf("xorriso (make test-deps installs it): %v: %s", err, out)
	}
	before := d.read("live.iso")
	d.must("render", "@/a.bu", "--out", "@/a.ign")
	d.must("embed", "@/live.iso", "@/a.ign", "--network", "@/eth0.nmconnection", "--out", "@/mine.iso")
	if d.read("live.iso") != before {
		t.Error("the original has changed")
	}
	d.must("extract", "@/mine.iso", "--out", "@/again.ign", "--network", "@/network")
	if d.read("again.ign") != d.read("a.ign") || d.read("network/eth0.nmconnection") != d.read("eth0.nmconnection") {
		t.Error("something else comes out")
	}
	if out := d.must("extract", "@/mine.iso"); !strings.Contains(out, "eth0.nmconnection") || !strings.Contains(out, "quiet") {
		t.Errorf("extract: %s", out)
	}
	if out := d.must("kargs", "@/mine.iso", "--append", "console=ttyS0", "--in-place"); out != "quiet console=ttyS0\n" {
		t.Errorf("kargs: %q", out)
	}
	if out := d.must("kargs", "@/mine.iso", "-o", "json"); !strings.Contains(out, `"kargs":"quiet console=ttyS0"`) {
		t.Errorf("kargs: %q", out)
	}
	d.must("kargs", "@/mine.iso", "--reset")
	d.must("remove", "@/mine.iso")
	if d.read("mine.iso") != before {
		t.Error("the image is not what it was")
	}
	d.must("recover", "@/mine.iso")
	d.must("pxe", "wrap", "@/a.ign", "--out", "@/config.img")
	d.must("pxe", "wrap", "@/a.ign", "--initramfs", "@/initrd", "--out", "@/both")
	for _, file := range []string{"@/config.img", "@/both"} {
		if out := d.must("pxe", "unwrap", file, "--out", "-"); out != d.read("a.ign") {
			t.Errorf("%s: %q", file, out)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"embed", "@/no.iso", "@/a.ign"}, ExitFailed, "not a live image"},
		{[]string{"embed", "@/mine.iso", "@/a.bu"}, ExitFailed, "@/a.bu:1:1: error"},
		{[]string{"embed", "@/mine.iso"}, ExitUsage, "name a configuration"},
		{[]string{"embed", "@/mine.iso", "@/a.ign", "--in-place", "--out", "@/x"}, ExitUsage, "either"},
		{[]string{"extract", "@/mine.iso", "--out", "-"}, ExitFailed, "has no configuration"},
		{[]string{"kargs", "@/mine.iso", "--delete", "none"}, ExitFailed, "cannot delete"},
		{[]string{"kargs", "@/mine.iso", "--append", strings.Repeat("x", 60)}, ExitFailed, "67 bytes"},
		{[]string{"pxe", "unwrap", "@/initrd"}, ExitFailed, "no archive at the end"},
		{[]string{"pxe", "wrap", "@/a.ign", "--initramfs", "@/both", "--out", "@/both"}, ExitFailed, "embedded already"},
	} {
		code, _, stderr := d.run(c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d, %s", c.args, code, stderr)
		}
	}
}
