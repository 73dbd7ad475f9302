package imports

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// committed lists the files that git knows or would add.
func committed(t *testing.T) []string {
	t.Helper()
	dir := root(t)
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git work tree: %v", err)
	}
	var files []string
	for _, f := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// long lists the Go files that may exceed the bound, each with its reason.
var long = map[string]string{}

// The bounds of Go files, in lines: past them, a file is two. Tests are tables and stories and
// may be longer.
const (
	maxLines     = 500
	maxTestLines = 800
)

func TestNoGoFileIsTooLong(t *testing.T) {
	dir := root(t)
	for _, f := range committed(t) {
		if !strings.HasSuffix(f, ".go") || long[f] != "" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		bound := maxLines
		if strings.HasSuffix(f, "_test.go") {
			bound = maxTestLines
		}
		if n := bytes.Count(b, []byte("\n")); n > bound {
			t.Errorf("%s has %d lines, more than %d: split it, or name it in long with the reason", f, n, bound)
		}
	}
}

// local are texts that belong to one machine: paths of a work place and hosts of package
// mirrors. Everybody else's build would fail on them, or worse, use them.
var local = []*regexp.Regexp{
	regexp.MustCompile(`/(work|workspace)/(main|shared|\.library)\b`),
	regexp.MustCompile(`["'\s(=]/(tmp|root|home/\w+)/[A-Za-z0-9._-]+`),
	regexp.MustCompile(`GOPROXY\s*[:?]?=\s*"?https?://`),
	regexp.MustCompile(`(?i)\b(HTTPS?|ALL)_PROXY\s*=\s*"?https?://`),
}

func TestNothingOfOneMachineIsCommitted(t *testing.T) {
	dir := root(t)
	for _, f := range committed(t) {
		if strings.HasSuffix(f, ".sum") || f == "test/imports/files_test.go" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(b, 0) >= 0 {
			continue
		}
		for n, line := range strings.Split(string(b), "\n") {
			for _, re := range local {
				// /home/core is on every node: Fedora CoreOS's user.
				if m := re.FindString(strings.ReplaceAll(line, "/home/core/", "")); m != "" {
					t.Errorf("%s:%d: %q is of one machine only", f, n+1, strings.TrimSpace(m))
				}
			}
		}
	}
}

// secretLooking finds private keys in PEM, which no test needs: tests make theirs.
var secretLooking = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{40,}`)

func TestNoPrivateKeyIsCommitted(t *testing.T) {
	dir := root(t)
	for _, f := range committed(t) {
		b, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if secretLooking.Match(b) {
			t.Errorf("%s holds a private key", f)
		}
	}
}
