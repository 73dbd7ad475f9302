package osimage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const coreos = "quay.io/fedora/fedora-coreos:stable"

func TestTheOSLockIsWrittenAndReadBack(t *testing.T) {
	l := layer(t, contents(t))
	derived, err := Derive(base(t, 2, true), l)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := Describe("a-resolved", Base{Reference: coreos, Digest: "sha256:" + strings.Repeat("b", 64)}, l, derived)
	if err != nil {
		t.Fatal(err)
	}
	unresolved, err := Describe("fedora-coreos", Base{Reference: coreos, Unresolved: "the registry cannot be reached from here"}, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Lock{Schema: Schema, Images: []OSImage{resolved, unresolved}}
	data, err := want.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseLock("os.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOSLockIsReadStrictly(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	good := "schema: " + Schema + "\nimages:\n- name: fcos\n  platform: linux/amd64\n  base: {reference: " + coreos + ", digest: '" + d + "'}\n  layer: " + d + "\n  derived: " + d + "\n  components: " + d + "\n"
	if _, err := ParseLock("os.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ old, new, want string }{
		"an unknown field":                     {"  layer:", "  colour: red\n  layer:", "colour"},
		"a repeated field":                     {"  layer:", "  name: b\n  layer:", "name"},
		"another schema":                       {"os/v1", "os/v2", "schema"},
		"a short digest":                       {"layer: " + d, "layer: sha256:aa", "layer"},
		"a digest of an unresolved base":       {"digest:", "unresolved: because, digest:", "base"},
		"an image derived from nothing":        {"digest: '" + d + "'", "unresolved: because", "derived"},
		"a base of which nothing is known":     {", digest: '" + d + "'", "", "base"},
		"a resolved base with nothing derived": {"  derived: " + d + "\n", "", "derived"},
		"a name with a slash":                  {"name: fcos", "name: a/b", "name"},
		"a second document":                    {"components: " + d + "\n", "components: " + d + "\n---\na: b\n", "document"},
		"a platform that is none":              {"linux/amd64", "linux/mips", "platform"},
		"a repository with a digest":           {"  components:", "  repositories: ['a/b@sha256:aa']\n  components:", "repositories"},
		"a scope without a transport":          {"  components:", "  accept: [/srv]\n  components:", "accept"},
		"a toolchain that is none":             {"  components:", "  toolchain: rustc\n  components:", "toolchain"},
		"no image":                             {good[strings.Index(good, "images:"):], "images: []\n", "images"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, tc.old, tc.new, 1)
			if bad == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := ParseLock("os.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "os.yaml") {
				t.Errorf("error = %v, want os.yaml and %q in it", err, tc.want)
			}
		})
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte("schema: " + Schema + "\nimages: []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLock("os.yaml", data)
		if err != nil {
			return
		}
		text, err := l.YAML()
		if err != nil {
			t.Fatalf("accepted and not written: %v", err)
		}
		again, err := ParseLock("os.yaml", text)
		if err != nil || cmp.Diff(l, again) != "" {
			t.Fatalf("not read back: %v", err)
		}
	})
}
