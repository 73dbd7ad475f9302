package lint

import (
	"archive/tar"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// good is a layer without a finding.
func good() *Subject {
	var list []Entry
	for _, d := range []string{"etc", "etc/systemd", "usr", "usr/bin", "usr/lib", "usr/lib/systemd", "usr/lib/systemd/system", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d"} {
		list = append(list, dir(d))
	}
	list = append(list, program("usr/bin/agent", elf.EM_X86_64), link("usr/lib/systemd/system/zincati.service", "/dev/null"),
		file("usr/lib/sysusers.d/a.conf", "u a 700 \"A\" /var/lib/a\n"), file("usr/lib/tmpfiles.d/a.conf", "d /var/lib/a 0755 a a -\n"))
	diffIDs := []v1.Hash{hash("1"), hash("2")}
	return &Subject{
		Layers: []Layer{{Number: 2, Entries: list}},
		Image: &Image{
			Manifest: &v1.Manifest{Layers: []v1.Descriptor{{MediaType: types.OCILayer, Digest: diffIDs[0]}, {MediaType: types.OCILayerZStd, Digest: diffIDs[1]}}},
			Config: &v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{DiffIDs: diffIDs},
				Config: v1.Config{Labels: map[string]string{"com.coreos.stream": "slipway"}}},
			Signatures: true, SimpleSigned: true, Bundle: true,
		},
	}
}

func hash(c string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(c, 64)} }

func at0(e Entry) Entry {
	e.Path, e.ModTime = clean(e.Name), time.Unix(0, 0)
	return e
}
func dir(name string) Entry { return at0(Entry{Name: name, Type: tar.TypeDir, Mode: 0o755}) }
func file(name, text string) Entry {
	return at0(Entry{Name: name, Type: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), Data: []byte(text), Head: []byte(text)})
}
func link(name, target string) Entry {
	return at0(Entry{Name: name, Type: tar.TypeSymlink, Mode: 0o777, Link: target})
}
func program(name string, m elf.Machine) Entry {
	e := file(name, "")
	e.Mode, e.Size, e.Head = 0o755, 64, make([]byte, headSize)
	copy(e.Head, elf.ELFMAG)
	e.Head[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	binary.LittleEndian.PutUint16(e.Head[18:], uint16(m))
	return e
}
func with(e Entry, change func(*Entry)) Entry { change(&e); return e }

func TestALayerAsItShouldBeHasNoFinding(t *testing.T) {
	if all := Run(good()); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestEachRuleFindsWhatItIsFor(t *testing.T) {
	add := func(entries ...Entry) func(*Subject) {
		return func(s *Subject) {
			l := &s.Layers[0]
			for _, e := range entries { // with their directories, so that one rule has something to say
				var parents []Entry
				for d := e.Path; strings.Contains(d, "/"); {
					d = d[:strings.LastIndexByte(d, '/')]
					if !slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Path == d }) && d != ".." {
						parents = append([]Entry{dir(d)}, parents...)
					}
				}
				l.Entries = append(append(l.Entries, parents...), e)
			}
		}
	}
	base := func(entries ...Entry) func(*Subject) {
		return func(s *Subject) {
			s.Base = NewTree()
			for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "var"} {
				entries = append(entries, dir(d))
			}
			s.Base.Apply(Layer{Number: 1, Entries: entries})
		}
	}
	both := func(all ...func(*Subject)) func(*Subject) {
		return func(s *Subject) {
			for _, f := range all {
				f(s)
			}
		}
	}
	kernelAt := func(v string) Entry { return file("usr/lib/modules/"+v+"/vmlinuz", "k") }
	for _, tc := range []struct {
		rule   string
		name   string
		change func(*Subject)
		want   Severity // empty: the rule says nothing
	}{
		{"var-run", "a directory", add(dir("var/run")), Error},
		{"var-run", "a socket's place in it", add(file("var/run/a", "")), Error},
		{"var-run", "the link", add(link("var/run", "../run")), ""},
		{"etc-usretc", "a file", add(file("usr/etc/a", "x")), Error},
		{"etc-usretc", "in /etc", add(file("etc/a", "x")), ""},
		{"bootc-kargs", "no TOML", add(file("usr/lib/bootc/kargs.d/a.toml", "kargs = [\"a\"")), Error},
		{"bootc-kargs", "an unknown key", add(file("usr/lib/bootc/kargs.d/a.toml", "karg = [\"a\"]")), Error},
		{"bootc-kargs", "no such machine", add(file("usr/lib/bootc/kargs.d/a.toml", "kargs = [\"a=b\"]\nmatch-architectures = [\"amd64\"]")), Error},
		{"bootc-kargs", "an empty argument", add(file("usr/lib/bootc/kargs.d/a.toml", "kargs = [\"\"]")), Error},
		{"bootc-kargs", "right, but for bootc alone", add(file("usr/lib/bootc/kargs.d/a.toml", "kargs = [\"a=b\"]\nmatch-architectures = [\"x86_64\"]")), Warning},
		{"bootc-kargs", "another ending", add(file("usr/lib/bootc/kargs.d/a.conf", "kargs")), Warning},
		{"kernel", "one in a layer", add(kernelAt("6.1")), Error},
		{"kernel", "two in base and layer", both(base(kernelAt("6.0")), add(kernelAt("6.1"))), Error},
		{"kernel", "one replaced by another", both(base(kernelAt("6.0")), add(file("usr/lib/modules/.wh.6.0", ""), kernelAt("6.1"))), ""},
		{"kernel", "none in base and layer", base(file("usr/lib/a", "")), Error},
		{"kernel", "one in the base", base(kernelAt("6.0")), ""},
		{"utf8", "a name in Latin 1", add(file("usr/lib/caf\xe9", "")), Error},
		{"utf8", "a target in Latin 1", add(link("usr/lib/cafe", "caf\xe9")), Error},
		{"utf8", "an umlaut", add(file("usr/lib/büro", "")), ""},
		{"api-base-directories", "a file in the place of one", add(file("proc", "")), Error},
		{"api-base-directories", "one deleted", add(file(".wh.sys", "")), Error},
		{"api-base-directories", "a base without", func(s *Subject) { s.Base = NewTree(); s.Base.Apply(Layer{Entries: []Entry{kernelAt("6")}}) }, Warning},
		{"baseimage-root", "prepare-root.conf replaced", add(file("usr/lib/ostree/prepare-root.conf", "")), Error},
		{"baseimage-root", "ostree deleted", add(file(".wh.ostree", "")), Error},
		{"baseimage-root", "ostree's folder deleted", add(file("usr/lib/.wh.ostree", "")), Error},
		{"var-log", "a log", add(file("var/log/dnf.log", "x")), Warning},
		{"var-tmpfiles", "a directory nobody makes", add(dir("var/lib/b")), Warning},
		{"var-tmpfiles", "a file in one that is made", add(file("var/lib/a/file", "x")), Warning},
		{"var-tmpfiles", "a directory that is made", add(dir("var/lib/a")), ""},
		{"sysusers", "a password file", add(file("etc/passwd", "x")), Error},
		{"sysusers", "an unknown owner", add(with(file("usr/lib/a", "x"), func(e *Entry) { e.UID = 701 })), Warning},
		{"sysusers", "a known owner", add(with(file("usr/lib/a", "x"), func(e *Entry) { e.UID = 700 })), ""},
		{"nonempty-boot", "a file", add(file("boot/grub2/grub.cfg", "x")), Error},
		{"nonempty-boot", "the directory", add(dir("boot")), ""},
		{"runtime-only-dirs", "a file in /run", add(file("run/a", "x")), Warning},
		{"runtime-only-dirs", "a file in /tmp", add(file("tmp/a", "x")), Warning},
		{"buildah-injected", "an empty resolv.conf", add(file("etc/resolv.conf", "")), Error},
		{"buildah-injected", "podman's mark", add(file("run/.containerenv", "x")), Error},
		{"buildah-injected", "hosts with contents", add(file("etc/hosts", "127.0.0.1 localhost")), ""},
		{"top-level", "CNI plugins in /opt", add(program("opt/cni/bin/bridge", elf.EM_X86_64)), Error},
		{"top-level", "a directory of one's own", add(file("data/a", "x")), Warning},
		{"top-level", "a file at the top", add(file("a", "x")), Warning},
		{"dotdot", "a name", add(file("usr/../../etc/shadow", "x")), Error},
		{"dotdot", "a hard link's target", add(with(file("usr/lib/a", ""), func(e *Entry) { e.Type, e.Link = tar.TypeLink, "../../etc/shadow" })), Error},
		{"dotdot", "a symbolic link's target", add(link("usr/lib/a", "../b")), ""},
		{"sysroot-objects", "an object", add(file("sysroot/ostree/repo/objects/00/11.file", "x")), Error},
		{"whiteouts", "a file", add(file("usr/lib/.wh.a", "")), Warning},
		{"whiteouts", "a directory's contents", add(file("usr/lib/.wh..wh..opq", "")), Warning},
		{"mtimes", "another time", add(with(file("usr/lib/a", ""), func(e *Entry) { e.ModTime = time.Unix(1, 0) })), Warning},
		{"implicit-parents", "a missing directory", func(s *Subject) { s.Layers[0].Entries = append(s.Layers[0].Entries, file("usr/share/a/b", "")) }, Warning},
		{"selinux-xattrs", "a label", add(with(file("usr/lib/a", ""), func(e *Entry) { e.Xattrs = []string{"security.selinux"} })), Error},
		{"unlabelled-executables", "in /usr/local", add(program("usr/local/bin/a", elf.EM_X86_64)), Error},
		{"unlabelled-executables", "in /usr/share", add(program("usr/share/a/b", elf.EM_X86_64)), Warning},
		{"unlabelled-executables", "in /usr/libexec", add(program("usr/libexec/a/b", elf.EM_X86_64)), ""},
		{"unlabelled-executables", "a library", add(program("usr/lib64/a.so.1", elf.EM_X86_64)), ""},
		{"setuid", "a bit", add(with(program("usr/bin/a", elf.EM_X86_64), func(e *Entry) { e.Mode = 0o4755 })), Error},
		{"setuid", "a capability", add(with(program("usr/bin/a", elf.EM_X86_64), func(e *Entry) { e.Xattrs = []string{"security.capability"} })), Error},
		{"world-writable", "a file", add(with(file("etc/a", "x"), func(e *Entry) { e.Mode = 0o666 })), Error},
		{"world-writable", "a directory", add(with(dir("usr/a"), func(e *Entry) { e.Mode = 0o777 })), Error},
		{"world-writable", "a sticky directory", add(with(dir("usr/a"), func(e *Entry) { e.Mode = 0o1777 })), ""},
		{"special-files", "a device", add(with(file("usr/lib/null", ""), func(e *Entry) { e.Type = tar.TypeChar })), Error},
		{"special-files", "a pipe", add(with(file("usr/lib/pipe", ""), func(e *Entry) { e.Type = tar.TypeFifo })), Error},
		{"zincati", "label and running", both(stream("stable"), unmasked), Error},
		{"zincati", "label and masked", stream("stable"), Warning},
		{"zincati", "an annotation and running", both(func(s *Subject) { s.Image.Manifest.Annotations = map[string]string{"fedora-coreos.stream": "next"} }, unmasked), Error},
		{"zincati", "no label and running", unmasked, Warning},
		{"zincati", "a layer by itself", both(func(s *Subject) { s.Image = nil }, unmasked), Error},
		{"zincati", "masked in /etc", both(unmasked, add(link("etc/systemd/system/zincati.service", "/dev/null"))), ""},
		{"layer-type", "squashfs", func(s *Subject) { s.Image.Manifest.Layers[0].MediaType = "application/x-squashfs" }, Error},
		{"ostree-layers", "a diff ID too few", func(s *Subject) { s.Image.Config.RootFS.DiffIDs = s.Image.Config.RootFS.DiffIDs[:1] }, Error},
		{"ostree-layers", "a label of no layer", label(finalDiffID, hash("9").String()), Error},
		{"ostree-layers", "nothing derived", label(finalDiffID, hash("2").String()), Warning},
		{"ostree-layers", "one derived", label(finalDiffID, hash("1").String()), ""},
		{"layer-limit", "481 layers", layers481(481), Warning},
		{"layer-limit", "501 layers", layers481(501), Error},
		{"layer-limit", "480 layers", layers481(480), ""},
		{"architecture", "a program of another", add(program("usr/bin/a", elf.EM_AARCH64)), Error},
		{"architecture", "an image of another", func(s *Subject) { s.Image.Config.Architecture = "s390x" }, Error},
		{"architecture", "programs that differ", both(func(s *Subject) { s.Image = nil }, add(program("usr/bin/a", elf.EM_S390))), Error},
		{"signature-forms", "none", func(s *Subject) { s.Image.SimpleSigned, s.Image.Bundle = false, false }, Error},
		{"signature-forms", "a bundle alone", func(s *Subject) { s.Image.SimpleSigned = false }, Error},
		{"signature-forms", "the legacy form alone", func(s *Subject) { s.Image.Bundle = false }, Warning},
		{"signature-forms", "nobody looked", func(s *Subject) { s.Image.SimpleSigned, s.Image.Signatures = false, false }, ""},
		{"user-data", "49,150 bytes", func(s *Subject) { s.UserData = make([]byte, 49150) }, Error},
		{"user-data", "49,149 bytes", func(s *Subject) { s.UserData = make([]byte, 49149) }, ""},
		{"kargs-area", "a byte too many", func(s *Subject) { s.Kargs, s.KargsArea = strings.Repeat("a", 100), 100 }, Error},
		{"kargs-area", "all of the area", func(s *Subject) { s.Kargs, s.KargsArea = strings.Repeat("a", 99), 100 }, ""},
	} {
		t.Run(tc.rule+"/"+tc.name, func(t *testing.T) {
			s := good()
			tc.change(s)
			var got []Finding
			for _, f := range Run(s) {
				if f.Rule == tc.rule {
					got = append(got, f)
				}
				if f.Happens == "" || f.Do == "" || f.Severity == "" {
					t.Errorf("incomplete: %+v", f)
				}
			}
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("found %+v", got)
			case tc.want != "" && (len(got) == 0 || got[0].Severity != tc.want):
				t.Errorf("found %+v, want one %s", got, tc.want)
			}
		})
	}
}

func stream(name string) func(*Subject) { return label("com.coreos.stream", name) }

func label(name, value string) func(*Subject) {
	return func(s *Subject) { s.Image.Config.Config.Labels[name] = value }
}

func unmasked(s *Subject) {
	l := &s.Layers[0]
	l.Entries = slices.DeleteFunc(l.Entries, func(e Entry) bool { return strings.HasSuffix(e.Path, "zincati.service") })
}

func layers481(n int) func(*Subject) {
	return func(s *Subject) {
		s.Image.Manifest.Layers = slices.Repeat(s.Image.Manifest.Layers[:1], n)
		s.Image.Config.RootFS.DiffIDs = slices.Repeat(s.Image.Config.RootFS.DiffIDs[:1], n)
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Rules() {
		if r.Name == "" || r.Says == "" || names[r.Name] {
			t.Errorf("rule %+v", r)
		}
		names[r.Name] = true
	}
	if len(names) != 32 {
		t.Errorf("%d rules; the cases above are for 32", len(names))
	}
}

func TestFindingsComeInOneOrder(t *testing.T) {
	make := func() string {
		s := good()
		for i := range 20 {
			s.Layers[0].Entries = append(s.Layers[0].Entries, file(fmt.Sprintf("usr/etc/%d", 20-i), ""))
		}
		return fmt.Sprint(Run(s))
	}
	if a, b := make(), make(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
