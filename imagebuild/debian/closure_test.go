package debian

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const triplet = "x86_64-linux-gnu"

// amd64 is the architecture of the tests' objects.
func amd64(t testing.TB) Architecture {
	t.Helper()
	a, err := ArchitectureOf("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func library(t testing.TB, name string, needed ...string) item {
	return file("./lib/"+triplet+"/"+name, elfOf(t, object{needed: needed}))
}

func TestPlatformsHaveAnArchitecture(t *testing.T) {
	if a, err := ArchitectureOf("linux/arm64"); err != nil || a != (Architecture{"arm64", "aarch64-linux-gnu", elf.EM_AARCH64}) {
		t.Errorf("got %v, %v", a, err)
	}
	_, err := ArchitectureOf("linux/s390x")
	refused(t, err, "linux/s390x")
}

func TestLibrariesAndLinksComeAlong(t *testing.T) {
	tree := treeOf(t,
		program("./usr/bin/a", elfOf(t, object{interp: "/lib64/ld.so.2", needed: []string{"libone.so.1"}})),
		program("./usr/bin/script", "#!/bin/sh\n"),
		symlink("./usr/bin/b", "/etc/alternatives/b"), symlink("./etc/alternatives/b", "/usr/bin/a"),
		symlink("./start", "/usr/bin/a"),
		symlink("./lib64/ld.so.2", "/lib/"+triplet+"/ld.so"), library(t, "ld.so"),
		symlink("./usr/lib/"+triplet+"/libone.so.1", "libone.so.1.2"),
		library(t, "libone.so.1.2", "libtwo.so"), library(t, "libtwo.so", "libone.so.1"), // a cycle
		library(t, "libother.so"),
	)
	for _, tt := range []struct {
		name    string
		take    []string
		want    []string
		targets map[string]string
	}{
		{"a program with its interpreter and libraries that need each other", []string{"usr/bin/a"},
			[]string{"usr/bin/a", "usr/lib/" + triplet + "/ld.so", "usr/lib/" + triplet + "/libone.so.1", "usr/lib/" + triplet + "/libone.so.1.2", "usr/lib/" + triplet + "/libtwo.so", "usr/lib64/ld.so.2"},
			map[string]string{"usr/lib64/ld.so.2": "../lib/" + triplet + "/ld.so", "usr/lib/" + triplet + "/libone.so.1": "libone.so.1.2"}},
		{"a script, which needs nothing that is known", []string{"usr/bin/script"}, []string{"usr/bin/script"}, nil},
		{"links over several at once, and never absolute", []string{"usr/bin/b", "start"},
			[]string{"start", "usr/bin/a", "usr/bin/b", "usr/lib/" + triplet + "/ld.so", "usr/lib/" + triplet + "/libone.so.1", "usr/lib/" + triplet + "/libone.so.1.2", "usr/lib/" + triplet + "/libtwo.so", "usr/lib64/ld.so.2"},
			map[string]string{"usr/bin/b": "a", "start": "usr/bin/a"}},
		{"what patterns match", []string{"usr/bin/s*"}, []string{"usr/bin/script"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			taken, err := tree.Take(amd64(t), tt.take)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(taken)); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			for name, want := range tt.targets {
				if taken[name].Target != want {
					t.Errorf("%s leads to %q, want %q", name, taken[name].Target, want)
				}
			}
			if err := taken.Check(amd64(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		items []item
		want  []string
	}{
		{"a file that no package has", nil, []string{"no package has usr/bin/a"}},
		{"a library that no package has", []item{program("./bin/a", elfOf(t, object{needed: []string{"libnone.so.9"}}))}, []string{"usr/bin/a needs", "no package has usr/lib/" + triplet + "/libnone.so.9"}},
		{"a library of a library", []item{program("./bin/a", elfOf(t, object{needed: []string{"libone.so"}})), library(t, "libone.so", "libnone.so")}, []string{"libone.so needs", "libnone.so"}},
		{"an interpreter", []item{program("./bin/a", elfOf(t, object{interp: "/lib64/ld.so.2"}))}, []string{"usr/bin/a needs", "no package has usr/lib64/ld.so.2"}},
		{"a library by a path that climbs", []item{program("./bin/a", elfOf(t, object{needed: []string{"../../../etc/x"}}))}, []string{"usr/bin/a needs"}},
		{"what a link leads to", []item{symlink("./bin/a", "none")}, []string{"the recipe needs", "no package has usr/bin/none"}},
		{"the end of links", []item{symlink("./bin/a", "b"), symlink("./bin/b", "a")}, []string{"too many symbolic links"}},
		{"the right architecture", []item{program("./bin/a", elfOf(t, object{machine: elf.EM_AARCH64}))}, []string{"usr/bin/a: built for EM_AARCH64, want EM_X86_64"}},
		{"a search path that is followed", []item{program("./bin/a", elfOf(t, object{runpath: "$ORIGIN/../lib"}))}, []string{"usr/bin/a", "$ORIGIN/../lib"}},
		{"the list of sections", []item{program("./bin/a", elfOf(t, object{needed: []string{"libc.so"}, hidden: true}))}, []string{"usr/bin/a: it needs libraries"}},
		{"an interpreter's name of a size", []item{program("./bin/a", elfOf(t, object{interp: strings.Repeat("/lib", 2000)}))}, []string{"usr/bin/a: its interpreter's name has 8001 bytes"}},
		{"the rest of an ELF file", []item{program("./bin/a", elf.ELFMAG+"\x02\x01\x01")}, []string{"usr/bin/a: read the ELF file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := treeOf(t, tt.items...).Take(amd64(t), []string{"usr/bin/a"})
			refused(t, err, tt.want...)
		})
	}
	_, err := treeOf(t).Take(amd64(t), []string{"usr/[bin"})
	refused(t, err, "usr/[bin")
}

func TestTakenFilesThatCouldNotRunAreRefused(t *testing.T) {
	at := "usr/lib/" + triplet + "/"
	whole := Taken{
		"usr/bin/a":       {Executable: true, Data: []byte(elfOf(t, object{interp: "/lib64/ld.so", needed: []string{"libone.so"}}))},
		"usr/lib64/ld.so": {Target: "../lib/" + triplet + "/ld.so"},
		at + "ld.so":      {Data: []byte(elfOf(t, object{}))},
		at + "libone.so":  {Data: []byte(elfOf(t, object{}))},
	}
	if err := whole.Check(amd64(t)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ without, want string }{
		{at + "libone.so", "usr/bin/a needs"},
		{"usr/lib64/ld.so", "usr/bin/a needs"},
		{at + "ld.so", at + "ld.so"},
	} {
		less := maps.Clone(whole)
		delete(less, tt.without)
		refused(t, less.Check(amd64(t)), tt.want)
	}
	other, err := ArchitectureOf("linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, whole.Check(other), "want EM_AARCH64")
}

func TestALinkLeadsFromAnyDirectoryToAnyOther(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"a", "b", "b"}, {"a", "usr/b", "usr/b"}, {"usr/a", "b", "../b"}, {"usr/bin/a", "usr/bin/b", "b"},
		{"usr/bin/a", "usr/lib/x/b", "../lib/x/b"}, {"usr/a", "usr/usr", "usr"}, {"a/b/c/d", "a/x", "../../x"},
	} {
		if got := relative(tt.from, tt.to); got != tt.want {
			t.Errorf("from %s to %s: %q, want %q", tt.from, tt.to, got, tt.want)
		}
		tree := treeOf(t, symlink("./"+tt.from, tt.want), file("./"+tt.to, ""))
		if at, _, err := tree.Resolve(tt.from); at != tt.to || err != nil {
			t.Errorf("%s leads to %s, %v", tt.from, at, err)
		}
	}
}

// FuzzTake gives the closure an ELF file of any bytes, beside one library.
func FuzzTake(f *testing.F) {
	f.Add([]byte(elfOf(f, object{interp: "/lib64/ld.so", needed: []string{"libone.so"}})))
	f.Add([]byte(elfOf(f, object{needed: []string{"libone.so", "a"}, runpath: "/x"})))
	f.Add([]byte(elfOf(f, object{hidden: true})))
	one := elfOf(f, object{needed: []string{"../../bin/a"}})
	a := amd64(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := NewTree()
		for name, b := range map[string][]byte{"usr/bin/a": data, "usr/lib64/ld.so": nil, fmt.Sprintf("usr/lib/%s/libone.so", triplet): []byte(one)} {
			tree.files[name] = File{Data: b}
		}
		taken, err := tree.Take(a, []string{"usr/bin/a"})
		if err != nil {
			return
		}
		if !bytes.Equal(taken["usr/bin/a"].Data, data) {
			t.Error("the file itself was not taken")
		}
		if err := taken.Check(a); err != nil {
			t.Errorf("what was taken cannot run: %v", err)
		}
	})
}
