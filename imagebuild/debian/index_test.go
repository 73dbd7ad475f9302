package debian

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

var (
	sumA = strings.Repeat("a", 64)
	sumB = strings.Repeat("b", 64)
)

func TestAnIndexIsRead(t *testing.T) {
	a := lock.Package{Name: "a", Version: "1:2.0-1+b1", Path: "pool/main/a/a_2.0-1+b1_amd64.deb", SHA256: sumA}
	b := lock.Package{Name: "b", Version: "1", Path: "b.deb", SHA256: sumB}
	textA := "Package: a\nVersion: 1:2.0-1+b1\nDepends: b (>= 1)\nDescription: words\n Package: x\n SHA256: y\nFilename: pool/main/a/a_2.0-1+b1_amd64.deb\nSHA256: " + sumA + "\n"
	textB := "Filename: ./b.deb\nSHA256: " + sumB + "\nVersion: 1\nPackage: b"
	for _, tt := range []struct {
		name, text string
		want       []lock.Package
	}{
		{"nothing", "", nil},
		{"empty lines", "\n\n\n", nil},
		{"one package", textA, []lock.Package{a}},
		{"two, and more empty lines than one", "\n" + textA + "\n \n\n" + textB, []lock.Package{a, b}},
		{"ends of lines of another system", strings.ReplaceAll(textA+"\n"+textB, "\n", "\r\n"), []lock.Package{a, b}},
		{"a paragraph of no package", "Version: 3\n\n" + textB, []lock.Package{b}},
		{"fields without a space or a value", "Package:a\nVersion\n\n" + textB, []lock.Package{b}},
		{"fields of other letters", "PACKAGE: c\npackage: c\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseIndex(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestThePackagesOfAnIndexAreChecked(t *testing.T) {
	a := lock.Package{Name: "a", Version: "2", Path: "pool/a.deb", SHA256: sumA}
	older, b := a, a
	older.Version, b.Name = "1", "b"
	got, err := choose([]lock.Package{b, a, older}, []string{"a", "b"})
	if err != nil || !slices.Equal(got, []lock.Package{a, b}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, tt := range []struct {
		name   string
		change func(p *lock.Package)
		want   string
	}{
		{"another name", func(p *lock.Package) { p.Name = "c" }, "apt knows no package a"},
		{"no version", func(p *lock.Package) { p.Version = "" }, `package a: "" is no version`},
		{"an option as a version", func(p *lock.Package) { p.Version = "-oX" }, "no version"},
		{"a version with a space", func(p *lock.Package) { p.Version = "1 2" }, "no version"},
		{"no sum", func(p *lock.Package) { p.SHA256 = "" }, `package a 2: "" is no sha256`},
		{"a sum that is a path", func(p *lock.Package) { p.SHA256 = "../" + sumA[3:] }, "no sha256"},
		{"a sum with a line after it", func(p *lock.Package) { p.SHA256 += "\n" }, "no sha256"},
		{"no path", func(p *lock.Package) { p.Path = "" }, "is no path"},
		{"a path that climbs", func(p *lock.Package) { p.Path = "../a.deb" }, "is no path"},
		{"an absolute path", func(p *lock.Package) { p.Path = "/a.deb" }, "is no path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := a
			tt.change(&changed)
			_, err := choose([]lock.Package{changed}, []string{"a"})
			refused(t, err, tt.want)
		})
	}
	for _, name := range []string{"", "-oX", "../a", "A", "a b", "a=1", "a\n", strings.Repeat("a", 200)} {
		refused(t, Check(lock.Package{Name: name, Version: "1", SHA256: sumA}), "no name of a Debian package")
		refused(t, checkNames([]string{"a", name}), "no name of a Debian package")
	}
}

func TestWhatAptWouldFetchIsRead(t *testing.T) {
	text := "NOTE: this is only a simulation\n" +
		"'http://deb.example.org/pool/main/b/busybox/busybox-static_1.35.0-4%2bb1_amd64.deb' busybox-static_1%3a1.35.0-4+deb12u1+b1_amd64.deb 928188 SHA256:" + sumA + "\n" +
		"'file:/repo/./b_1_all.deb' b_1_all.deb 12 \n"
	got, err := parseURIs(text)
	want := []lock.Package{{Name: "busybox-static", Version: "1:1.35.0-4+deb12u1+b1"}, {Name: "b", Version: "1"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, name := range []string{"busybox.deb", "a_1_amd64", "a_%zz_amd64.deb", "-o_1_amd64.deb", "a_-1_amd64.deb", "a_1_2_amd64.deb", "../a_1_amd64.deb", "a_%00_amd64.deb"} {
		_, err := parseURIs("'uri' " + name + " 1 x\n")
		refused(t, err, "no package's file")
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nFilename: ./a.deb\nSHA256: "+sumA+"\n\nPackage: b\n", "a")
	f.Add("Package: a\n Version: 1\r\n\n", "b")
	f.Fuzz(func(t *testing.T, text, name string) {
		index := parseIndex(text)
		for _, p := range index {
			if p.Name == "" || strings.ContainsAny(p.Name+p.Version+p.Path+p.SHA256, "\n") {
				t.Errorf("%+v", p)
			}
		}
		all, err := choose(index, []string{name})
		if err == nil && (len(all) != 1 || all[0].Name != name || Check(all[0]) != nil || !fs.ValidPath(all[0].Path)) {
			t.Errorf("asked for %q, got %+v", name, all)
		}
	})
}

func FuzzParseURIs(f *testing.F) {
	f.Add("'http://x/a_1_amd64.deb' a_1%3a1_amd64.deb 1 SHA256:x\n")
	f.Add("note\n'u' a_%41_all.deb 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseURIs(text)
		for _, p := range all {
			p.SHA256 = sumA
			if err == nil && Check(p) != nil {
				t.Errorf("%+v", p)
			}
		}
	})
}
