package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const stanza = `Package: bird
Source: bird (1.6.8-2.1)
Version: 1.6.8-2.1+b1
Installed-Size: 1160
Architecture: amd64
Description: Internet Routing Daemon
 Version: of a line that belongs to the description
Filename: pool/main/b/bird/bird_1.6.8-2.1+b1_amd64.deb
Size: 402336
SHA256: 0f3b3f3f0f3b3f3f0f3b3f3f0f3b3f3f0f3b3f3f0f3b3f3f0f3b3f3f0f3b3f3f

Package: other
`

func TestAStanzaIsReadWhole(t *testing.T) {
	p, arch, err := parseStanza(stanza)
	if err != nil || p.Version != "1.6.8-2.1+b1" || arch != "amd64" || p.Path != "pool/main/b/bird/bird_1.6.8-2.1+b1_amd64.deb" || p.Name != "bird" {
		t.Errorf("%+v, %s, %v", p, arch, err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"installed only":  strings.Replace(stanza, "Filename:", "X:", 1),
		"no architecture": strings.Replace(stanza, "Architecture:", "X:", 1),
		"a short sum":     strings.Replace(stanza, "SHA256: 0f", "SHA256: ", 1),
		"no sum":          strings.Replace(stanza, "SHA256:", "SHA1:", 1),
	} {
		if p, _, err := parseStanza(text); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestAnAnswerAboutAnotherPackageIsRefused(t *testing.T) {
	script := filepath.Join(t.TempDir(), "apt-cache")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncat <<'END'\n"+stanza+"END\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := AptIndexes{Command: script}
	if p, err := a.Candidate(t.Context(), "bird", "amd64"); err != nil || p.Name != "bird" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, q := range [][2]string{{"bird6", "amd64"}, {"bird", "arm64"}} {
		if p, err := a.Candidate(t.Context(), q[0], q[1]); err == nil || !strings.Contains(err.Error(), "apt answered about bird on amd64") {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func TestTheMachinesOwnAptIsAsked(t *testing.T) {
	out, err := exec.Command("apt-cache", "show", "--no-all-versions", "dpkg").Output()
	if err != nil || !strings.Contains(string(out), "\nFilename: ") {
		t.Skip("this machine's apt has no indexes; `apt-get update` fetches them")
	}
	p, err := AptIndexes{}.Candidate(t.Context(), "dpkg", runtime.GOARCH)
	if err != nil || p.Name != "dpkg" || !strings.HasPrefix(p.Path, "pool/") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := (AptIndexes{}).Candidate(t.Context(), "slipway-no-such-package", runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "slipway-no-such-package") {
		t.Errorf("a package that is not there: %v", err)
	}
}

func FuzzStanza(f *testing.F) {
	f.Add(stanza)
	f.Add("Package: x\nVersion: \n")
	f.Fuzz(func(t *testing.T, text string) {
		p, arch, err := parseStanza(text)
		if err == nil && (p.Name == "" || p.Version == "" || p.Path == "" || arch == "" || len(p.SHA256) != 64) {
			t.Errorf("%+v", p)
		}
	})
}
