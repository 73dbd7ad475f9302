package integration

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"slipway.build/slipway/agent/bundle"
	"slipway.build/slipway/agent/testplane"
)

// asked tries the subcommands that look, on a node where all is well.
func asked(w *world) {
	t := w.t
	if out := w.node.do("unshare", "--net", "slipway-agent", "verify"); !strings.Contains(out, "are what was signed") || strings.Contains(out, "DIFFERS") {
		t.Errorf("verify without a network says\n%s", out)
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"why", "alpha"}, 0, "nothing is wrong with it"},
		{[]string{"why", "pause"}, 0, "used by     pods, as registry.example/pause@sha256:"},
		{[]string{"why", "image:alpha"}, 0, "used by     slipway-alpha.service"},
		{[]string{"why", "slipway-alhpa.service"}, 1, "meant?      alpha"},
		{[]string{"why"}, 0, "the agent: the plan is done"},
		{[]string{"status"}, 0, "slipway-alpha.service  active (running)"},
		{[]string{"plan"}, 0, `"deployment": "deployment-1"`},
		{[]string{"journal"}, 0, "plan 1      confirmed"},
		{[]string{"logs", "-n", "3", "--since", "10m", "alpha", "agent"}, 0, "slipway-a"},
		{[]string{"logs", "--since", "yesterday"}, 2, "want a duration"},
		{[]string{"diff"}, 1, "no other generation on this node"},
		{[]string{"diff", "1"}, 1, "generation 1 is the current one"},
		{[]string{"diff", "/nowhere"}, 1, "no such file"},
		{[]string{"rollback"}, 1, "no confirmed generation before it is on this node"},
		{[]string{"why", "a", "b"}, 2, "accepts at most 1 arg"},
		{[]string{"dance"}, 2, "unknown command"},
		{[]string{"status", "-o", "xml"}, 2, "want text or json"},
	} {
		out, err := w.node.try(append([]string{"slipway-agent"}, test.args...)...)
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != test.code || !strings.Contains(out, test.says) {
			t.Errorf("slipway-agent %s ends with %d, want %d, and says\n%s", strings.Join(test.args, " "), code, test.code, out)
		}
	}
	w.bundled()
}

// bundled collects the archive on the node after secrets were planted in a log, and looks for them.
func (w *world) bundled() {
	t := w.t
	key, err := os.ReadFile(w.node.State("pki/alpha/tls.key"))
	must(t, err)
	own, err := os.ReadFile(w.node.State("state/identity/key.pem"))
	must(t, err)
	secrets := []string{
		testplane.Token, w.plane.Secrets["shared@1"], string(key), string(own),
		strings.Split(string(key), "\n")[1], strings.Split(string(own), "\n")[1], "hunter2hunter2", "eyJhbGciOiJub25lIn0",
	}
	w.node.do("sh", "-c", "printf 'password=hunter2hunter2\nAuthorization: Bearer eyJhbGciOiJub25lIn0.e30.\ntoken "+testplane.Token+"\n' | systemd-run --quiet --pipe --wait --unit=slipway-beta-log systemd-cat -t beta")
	w.node.do("slipway-agent", "bundle", "-f", "/var/lib/slipway/bundle.tar.gz")
	file, err := os.Open(w.node.State("bundle.tar.gz"))
	must(t, err)
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(file)
	must(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		raw, err := io.ReadAll(r)
		must(t, err)
		files[strings.TrimPrefix(header.Name, "slipway-bundle/")] = raw
		for _, secret := range secrets {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s of the archive holds the secret %.20q", header.Name, secret)
			}
		}
	}
	var manifest bundle.Manifest
	must(t, json.Unmarshal(files[bundle.ManifestName], &manifest))
	made := map[string]bundle.Made{}
	for _, part := range manifest.Parts {
		made[part.Name] = part
		sum := sha256.Sum256(files[part.Name])
		if part.SHA256 != hex.EncodeToString(sum[:]) || part.How == "" {
			t.Errorf("the manifest's %+v does not describe the part", part)
		}
	}
	for _, name := range []string{"status.json", "why.json", "plan.json", "journal.json", "verify.json", "lock.json", "units.json", "certificates.pem",
		"logs/slipway-alpha.service.log", "logs/slipway-agent.service.log", "properties/slipway-alpha.service.txt", "machine/disk.txt", "machine/addresses.txt", "machine/proc/meminfo"} {
		if part := made[name]; part.Error != "" || part.Bytes == 0 {
			t.Errorf("part %s: %+v", name, part)
		}
	}
	if !strings.Contains(string(files["certificates.pem"]), "-----BEGIN CERTIFICATE-----") {
		t.Error("the public halves of the certificates are not there")
	}
	size, err := file.Stat()
	must(t, err)
	t.Logf("archive of %d parts: %d bytes", len(made), size.Size())
	must(t, os.Remove(w.node.State("bundle.tar.gz")))
}
