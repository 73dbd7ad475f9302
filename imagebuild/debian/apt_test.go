package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

// source is a directory of packages that the machine's real apt takes for its only archive.
type source struct {
	t     *testing.T
	dir   string
	index strings.Builder
}

// newSource returns an empty one, and an apt that knows no other.
func newSource(t *testing.T) (*source, Apt) {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("apt-get is missing")
	}
	s := &source{t: t, dir: t.TempDir()}
	etc := t.TempDir()
	line := fmt.Sprintf("deb [trusted=yes] file:%s ./\n", s.dir)
	if err := os.WriteFile(filepath.Join(etc, "sources.list"), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	return s, Apt{Dir: t.TempDir(), Etc: etc}
}

// add puts a package with one file into the archive. fields are more lines of its index, such as
// "Depends: b".
func (s *source) add(name, version string, fields ...string) lock.Package {
	s.t.Helper()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: small\n", name, version)
	for _, f := range fields {
		control += f + "\n"
	}
	raw := arOf("debian-binary", "2.0\n", "control.tar", string(tarOf(s.t, file("./control", control))),
		"data.tar", string(tarOf(s.t, file("./usr/share/"+name, version))))
	sum := sha256.Sum256(raw)
	p := lock.Package{Name: name, Version: version, Path: name + "_" + strings.ReplaceAll(version, ":", "%3a") + "_all.deb", SHA256: hex.EncodeToString(sum[:])}
	if err := os.WriteFile(filepath.Join(s.dir, p.Path), raw, 0o644); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(&s.index, "%sFilename: ./%s\nSize: %d\nSHA256: %s\n\n", control, p.Path, len(raw), p.SHA256)
	s.publish()
	return p
}

func (s *source) publish() {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "Packages"), []byte(s.index.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func TestAptResolvesWhatPackagesNeed(t *testing.T) {
	s, apt := newSource(t)
	s.add("plain", "1")
	s.add("older", "1")
	s.add("older", "1:0.1-2")
	s.add("left", "1", "Depends: right (>= 1)")
	s.add("right", "1", "Depends: left, plain")
	s.add("either", "1", "Depends: nowhere | plain | left")
	s.add("mailer", "1", "Depends: transport")
	s.add("postman", "1", "Provides: transport")
	s.add("wishes", "1", "Recommends: plain", "Suggests: left")
	s.add("early", "1", "Pre-Depends: plain")
	s.add("broken", "1", "Depends: nowhere (>= 2)")
	s.add("deep", "1", "Depends: broken")
	s.add("demanding", "1", "Depends: plain (>= 2)")
	s.add("hostile", "1", "Conflicts: plain")
	if err := apt.Update(t.Context(), "amd64"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		names []string
		want  []string
	}{
		{"a package that needs nothing", []string{"plain"}, []string{"plain 1"}},
		{"the newest version", []string{"older"}, []string{"older 1:0.1-2"}},
		{"packages that need each other", []string{"left"}, []string{"left 1", "plain 1", "right 1"}},
		{"the first of alternatives that is there", []string{"either"}, []string{"either 1", "plain 1"}},
		{"what another package provides", []string{"mailer"}, []string{"mailer 1", "postman 1"}},
		{"a name that is only provided", []string{"transport"}, []string{"postman 1"}},
		{"not what is only recommended", []string{"wishes"}, []string{"wishes 1"}},
		{"what is needed before", []string{"early"}, []string{"early 1", "plain 1"}},
		{"several with something in common", []string{"right", "early"}, []string{"early 1", "left 1", "plain 1", "right 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := apt.Closure(t.Context(), "amd64", tt.names)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range found {
				got = append(got, p.Name+" "+p.Version)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name  string
		names []string
		want  []string
	}{
		{"a package that is not there", []string{"plain", "nobody"}, []string{"nobody"}},
		{"a dependency that is not there", []string{"broken"}, []string{"broken", "nowhere (>= 2)"}},
		{"a dependency of a dependency", []string{"deep"}, []string{"deep", "broken"}},
		{"a version that is not there", []string{"demanding"}, []string{"demanding", "plain (>= 2)"}},
		{"packages that exclude each other", []string{"hostile", "plain"}, []string{"hostile", "plain"}},
		{"an option", []string{"--allow-unauthenticated"}, []string{"no name of a Debian package"}},
	} {
		t.Run(tt.name+" is named", func(t *testing.T) {
			_, err := apt.Closure(t.Context(), "amd64", tt.names)
			refused(t, err, tt.want...)
		})
	}
	t.Run("names without what they need", func(t *testing.T) {
		got, err := apt.Resolve(t.Context(), "amd64", []string{"right", "older"})
		if err != nil || len(got) != 2 || got[0].Name != "right" || got[1].Version != "1:0.1-2" || got[1].Path != "older_1%3a0.1-2_all.deb" {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err = apt.Resolve(t.Context(), "amd64", []string{"plain", "nobody"})
		refused(t, err, "nobody", "amd64")
	})
}

func TestAPackageIsFetchedOnceAndByItsSum(t *testing.T) {
	s, apt := newSource(t)
	a, b := s.add("a", "1:1.0"), s.add("b", "1")
	other := b
	other.SHA256 = sumA
	refused(t, apt.FetchAll(t.Context(), "amd64", []lock.Package{other}), "package b 1", sumA, "it was not taken")
	if err := apt.FetchAll(t.Context(), "amd64", []lock.Package{a, b}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.dir); err != nil { // it has no more to say
		t.Fatal(err)
	}
	f, err := apt.Open(t.Context(), "amd64", a)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := Read(f)
	if err != nil || len(all) != 1 || string(all[0].Data) != "1:1.0" {
		t.Errorf("got %+v, %v", all, err)
	}
	if err := os.WriteFile(f.Name(), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = apt.Open(t.Context(), "amd64", a)
	refused(t, err, "package a 1:1.0", "remove it")
	kept, err := os.ReadDir(filepath.Join(apt.Dir, "packages"))
	if err != nil || len(kept) != 2 {
		t.Errorf("the cache has %v, %v", kept, err)
	}
	for _, bad := range []lock.Package{{Name: "-oX", Version: "1", SHA256: sumA}, {Name: "a", Version: "-oX", SHA256: sumA}, {Name: "a", Version: "1", SHA256: "../../" + sumA[6:]}} {
		if _, err := apt.Open(t.Context(), "amd64", bad); err == nil {
			t.Errorf("%+v was fetched", bad)
		}
	}
}

func TestListsThatAreOlderThanAVersionAreFetchedAgain(t *testing.T) {
	s, apt := newSource(t)
	s.add("a", "1")
	if err := apt.Update(t.Context(), "amd64"); err != nil {
		t.Fatal(err)
	}
	newer := s.add("a", "2")
	if _, err := apt.Open(t.Context(), "amd64", newer); err != nil {
		t.Error(err)
	}
	gone := newer
	gone.Version, gone.SHA256 = "3", sumA
	_, err := apt.Open(t.Context(), "amd64", gone)
	refused(t, err, "a=3", "pin what it has now")
}

func TestWhoWaitsForAptEndsWithTheContext(t *testing.T) {
	_, apt := newSource(t)
	release, err := apt.alone(t.Context(), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := apt.Update(ctx, "amd64"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
