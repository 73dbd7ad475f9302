package testimages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const committed = "../images.yaml"

func TestTheCommittedLockIsReadAndWrittenAsItIs(t *testing.T) {
	l, err := LoadLock(committed)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := l.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("writing the lock changes it")
	}
	for set := range wanted() {
		if len(l.Sets[set]) == 0 {
			t.Errorf("set %s has no packages", set)
		}
	}
}

func TestALockIsChecked(t *testing.T) {
	sum := strings.Repeat("0", 64)
	good := `schema: 1
kubernetes: v1.36.3
sets:
  tools:
    - {name: bash, version: 5.2, arch: amd64, size: 1, sha256: ` + sum + `}
images:
  - {repository: a/b, tag: v1, manifest: "sha256:` + sum + `"}
`
	if _, err := ParseLock([]byte(good)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, from, to, want string }{
		{"an unknown field", "schema: 1", "schema: 1\nother: 2", "other"},
		{"another schema", "schema: 1", "schema: 2", "schema"},
		{"a name with a path", "name: bash", "name: ../bash", "name"},
		{"an option as a name", "name: bash", "name: -oX", "name"},
		{"an option as a version", "version: 5.2", "version: -oX", "version"},
		{"another architecture", "arch: amd64", "arch: arm64", "arch"},
		{"no size", "size: 1", "size: 0", "size"},
		{"a short sum", sum + "}", "abc}", "sha256"},
		{"a repository that climbs", "a/b", "../b", "no image's name"},
		{"a digest of another kind", "sha256:" + sum, "sha512:" + sum, "no digest"},
		{"a second document", "images:", "---\nimages:", "more than one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.from, tt.to, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := ParseLock([]byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something with %q", err, tt.want)
			}
		})
	}
}

func TestImagesAreHeldAgainstTheLock(t *testing.T) {
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	l := &Lock{Images: []Locked{{"a", "1", digest("1")}, {"b", "1", digest("2")}, {"c", "1", digest("3")}}}
	if err := l.Check(l.Images); err != nil {
		t.Error(err)
	}
	err := l.Check([]Locked{{"a", "1", digest("1")}, {"b", "1", digest("9")}, {"d", "1", digest("3")}})
	if err == nil {
		t.Fatal("three differences and no error")
	}
	for _, want := range []string{"b:1 is " + digest("9") + ", the lock says " + digest("2"), "d:1 is not in the lock", "c:1 is in the lock and was not built"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func FuzzParseLock(f *testing.F) {
	if text, err := os.ReadFile(committed); err == nil {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLock(text)
		if err != nil {
			return
		}
		if err := l.Write(filepath.Join(t.TempDir(), "lock")); err != nil {
			t.Errorf("a lock that was read cannot be written: %v", err)
		}
	})
}
