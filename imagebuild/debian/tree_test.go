package debian

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// treeOf has a package "one" of items.
func treeOf(t testing.TB, items ...item) *Tree {
	t.Helper()
	tree := NewTree()
	if err := tree.Add("one", bytes.NewReader(deb(t, items...))); err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestATreeHasTheFilesOfItsPackages(t *testing.T) {
	tree := treeOf(t, folder("./bin/"), program("./bin/a", "1"), file("./etc/a.conf", "x"), symlink("./usr/bin/b", "a"))
	if err := tree.Add("two", bytes.NewReader(deb(t, program("./usr/bin/c", "3")))); err != nil {
		t.Fatal(err)
	}
	all, err := tree.Match("usr/bin/?")
	if err != nil || !slices.Equal(all, []string{"usr/bin/a", "usr/bin/b", "usr/bin/c"}) {
		t.Errorf("got %q, %v", all, err)
	}
	if tree.From("usr/bin/a") != "one" || tree.From("usr/bin/c") != "two" || tree.From("usr/bin/d") != "" {
		t.Errorf("from %q, %q, %q", tree.From("usr/bin/a"), tree.From("usr/bin/c"), tree.From("usr/bin/d"))
	}
	if at, f, err := tree.Resolve("bin/b"); at != "usr/bin/a" || !f.Executable || string(f.Data) != "1" || err != nil {
		t.Errorf("got %s, %+v, %v", at, f, err)
	}
	if _, f, err := tree.Resolve("etc/a.conf"); f.Executable || err != nil {
		t.Errorf("a file of settings: %+v, %v", f, err)
	}
	if all, err := tree.Match("usr/bin"); len(all) != 0 || err != nil {
		t.Errorf("a directory matched: %q, %v", all, err)
	}
	if _, err := tree.Match("no/such/[path"); err == nil {
		t.Error("a pattern without an end is taken")
	}
}

func TestAPackageThatIsRefusedLeavesNothingInTheTree(t *testing.T) {
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a damaged one", deb(t, file("./usr/new", "x"), file("./../out", "")), "the Debian package two: data.tar: the path"},
		{"one that is cut off", deb(t, file("./usr/new", "x"))[:700], "the Debian package two"},
		{"a file beneath another's link", deb(t, file("./usr/new", "x"), file("./usr/link/x", "")), "usr/link/x is beneath usr/link, which is no directory in the package one"},
		{"a link in the place of another's directory", deb(t, file("./usr/new", "x"), symlink("./usr/dir", "bin")), "usr/dir is no directory, and the package one has usr/dir/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := treeOf(t, symlink("./usr/link", "../etc"), file("./usr/dir/a", ""))
			refused(t, tree.Add("two", bytes.NewReader(tt.raw)), tt.want)
			if all, _ := tree.Match("usr/*"); !slices.Equal(all, []string{"usr/link"}) {
				t.Errorf("the tree has %q", all)
			}
		})
	}
}

func TestLinksAreFollowed(t *testing.T) {
	items := []item{
		program("./usr/bin/a", "a"), symlink("./usr/bin/near", "a"), symlink("./usr/sbin/across", "../bin/near"),
		symlink("./etc/absolute", "/bin/a"), symlink("./top", "usr/bin/a"),
		symlink("./loop", "loop"), symlink("./ping", "pong"), symlink("./pong", "./ping"), symlink("./nowhere", "usr/bin/none"),
	}
	for i := range maxLinks {
		items = append(items, symlink(fmt.Sprintf("./chain/%d", i), fmt.Sprint(i+1)))
	}
	items = append(items, file(fmt.Sprintf("./chain/%d", maxLinks), "end"))
	tree := treeOf(t, items...)
	for _, name := range []string{"usr/bin/near", "usr/sbin/across", "sbin/across", "etc/absolute", "top"} {
		if at, _, err := tree.Resolve(name); at != "usr/bin/a" || err != nil {
			t.Errorf("%s leads to %q, %v", name, at, err)
		}
	}
	if at, _, err := tree.Resolve("chain/1"); at != fmt.Sprintf("chain/%d", maxLinks) || err != nil {
		t.Errorf("the chain leads to %q, %v", at, err)
	}
	for name, want := range map[string]string{
		"loop": "loop: too many symbolic links", "ping": "ping: too many", "chain/0": "too many",
		"nowhere": "nowhere: no package has usr/bin/none", "none": "no package has none",
	} {
		_, _, err := tree.Resolve(name)
		refused(t, err, want)
	}
}

func TestPathsAreThoseOfAMergedSystem(t *testing.T) {
	for from, want := range map[string]string{
		"bin/sh": "usr/bin/sh", "lib64/ld.so": "usr/lib64/ld.so", "sbin": "usr/sbin", "usr/bin/sh": "usr/bin/sh",
		"binary/x": "binary/x", "lib32/x": "lib32/x", "etc/bin/x": "etc/bin/x", "": "",
	} {
		if got := Merge(from); got != want {
			t.Errorf("%q became %q, want %q", from, got, want)
		}
	}
}
