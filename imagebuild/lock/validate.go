package lock

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"slipway.build/slipway/agent/fault"
)

// Validate checks everything about the lock that can be known without fetching: schema,
// names sorted and unique, forms of digests and paths, and that each image either is
// complete for every platform or says why it is unresolved. It returns one terminal error
// that lists every problem with its field and value.
func (l *Lock) Validate() error {
	c := newChecker()
	c.issue(l)
	c.content(l)
	return c.result()
}

// ValidateContent is Validate for a lock that was not issued yet, so has no number and no times.
func (l *Lock) ValidateContent() error {
	c := newChecker()
	c.content(l)
	return c.result()
}

// issue checks what is given to a lock when it is issued.
func (c *checker) issue(l *Lock) {
	if l.Number < 1 {
		c.bad("number", "%d is not a number above zero", l.Number)
	}
	issued, err1 := parseTime(l.Issued)
	expires, err2 := parseTime(l.Expires)
	if err1 != nil {
		c.bad("issued", "%w", err1)
	}
	if err2 != nil {
		c.bad("expires", "%w", err2)
	}
	if err1 == nil && err2 == nil && !expires.After(issued) {
		c.bad("expires", "%q is not after issued %q", l.Expires, l.Issued)
	}
}

func (c *checker) result() error {
	if len(c.problems) > 0 {
		return fault.Terminalf("lock is not valid: %w", errors.Join(c.problems...))
	}
	return nil
}

func (c *checker) content(l *Lock) {
	if l.Schema != Schema {
		c.bad("schema", "%q is not %q; this program reads no other", l.Schema, Schema)
	}
	c.match("toolchain", l.Toolchain, ToolchainForm, "an exact Go toolchain such as go1.26.7")
	manifests := map[string]string{}
	for i := range l.Images {
		img := &l.Images[i]
		path := fmt.Sprintf("images[%d]", i)
		if img.Name != "" {
			path += "(" + img.Name + ")"
		}
		if i > 0 && l.Images[i-1].Compare(img) >= 0 {
			c.bad(path+".name", "%q %q must sort after %q %q: images are sorted by name and version, and unique",
				img.Name, img.Version, l.Images[i-1].Name, l.Images[i-1].Version)
		}
		c.image(path, img)
		for _, p := range img.Platforms {
			if first, ok := manifests[p.Manifest]; ok {
				c.bad(path+".platforms", "manifest %s is also that of %s", p.Manifest, first)
			}
			manifests[p.Manifest] = img.Name
		}
	}
	for i, a := range l.Accepted {
		at := fmt.Sprintf("accepted[%d]", i)
		c.plain(at+".rule", a.Rule)
		c.plain(at+".image", a.Image)
		c.text(at+".reason", a.Reason)
		c.day(at+".until", a.Until)
	}
}

func (c *checker) day(field, value string) {
	if t, err := time.Parse(time.DateOnly, value); err != nil || t.Format(time.DateOnly) != value {
		c.bad(field, "%q is not a day such as 2027-06-28", value)
	}
}

type checker struct {
	problems []error
	forms    map[string]*regexp.Regexp // compiled, by their text
}

func newChecker() *checker { return &checker{forms: map[string]*regexp.Regexp{}} }

func (c *checker) bad(field, format string, a ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: "+format, append([]any{field}, a...)...))
}

func (c *checker) match(field, value, form, want string) {
	compiled := c.forms[form]
	if compiled == nil {
		compiled = regexp.MustCompile(form)
		c.forms[form] = compiled
	}
	if !compiled.MatchString(value) {
		c.bad(field, "%q is not %s", value, want)
	}
}

func (c *checker) digest(field, value string) {
	c.match(field, value, DigestForm, "a sha256 digest (sha256: and 64 hex digits)")
}

func (c *checker) image(path string, img *Image) {
	c.match(path+".name", img.Name, NameForm, "a name of lower-case letters, digits and hyphens")
	c.match(path+".version", img.Version, TagForm, "a version that can be an image tag")
	c.match(path+".repository", img.Repository, RepositoryForm, "a repository path")
	c.source(path+".source", &img.Source)
	for i, m := range img.Kubernetes {
		c.match(fmt.Sprintf("%s.kubernetes[%d]", path, i), m, MinorForm, "a Kubernetes minor such as 1.36")
	}
	if img.Supported != "" {
		c.day(path+".supported", img.Supported)
	}
	if img.System != "" {
		c.text(path+".system", img.System)
	}
	for i, tool := range img.HostTools {
		c.plain(fmt.Sprintf("%s.hostTools[%d]", path, i), tool)
	}
	if img.Unresolved != "" {
		c.text(path+".unresolved", img.Unresolved)
		if img.Index != "" || len(img.Platforms) > 0 {
			c.bad(path+".unresolved", "an unresolved image has neither index nor platforms")
		}
		return
	}
	c.digest(path+".index", img.Index)
	if len(img.Platforms) == 0 {
		c.bad(path+".platforms", "none given, and unresolved does not say why")
	}
	for i := range img.Platforms {
		p := &img.Platforms[i]
		at := fmt.Sprintf("%s.platforms[%d]", path, i)
		if i > 0 && img.Platforms[i-1].Platform >= p.Platform {
			c.bad(at+".platform", "%q must sort after %q: platforms are sorted and unique", p.Platform, img.Platforms[i-1].Platform)
		}
		c.platform(at, p)
	}
}

func (c *checker) source(path string, s *Source) {
	switch {
	case s.Module != "" && s.Reference != "":
		c.bad(path, "module and reference exclude each other")
	case s.Module != "":
		c.plain(path+".module", s.Module)
		c.plain(path+".version", s.Version)
		c.match(path+".sum", s.Sum, SumForm, "a module sum (h1: and base64)")
		c.digest(path+".goSum", s.GoSum)
		if len(s.Packages) == 0 {
			c.bad(path+".packages", "a module source names the packages that were built")
		}
	case s.Reference != "":
		c.plain(path+".reference", s.Reference)
	default:
		c.bad(path, "neither module nor reference given")
	}
	for i, p := range s.Packages {
		c.plain(fmt.Sprintf("%s.packages[%d]", path, i), p)
	}
	for i, f := range s.Flags {
		c.text(fmt.Sprintf("%s.flags[%d]", path, i), f)
	}
}

func (c *checker) platform(path string, p *Platform) {
	c.match(path+".platform", p.Platform, PlatformForm, "a platform such as linux/amd64")
	c.digest(path+".manifest", p.Manifest)
	c.digest(path+".config", p.Config)
	c.layers(path+".layers", p.Layers)
	c.variants(path, p)
	if len(p.Files) == 0 {
		c.bad(path+".files", "none given")
	}
	for i, f := range p.Files {
		at := fmt.Sprintf("%s.files[%d]", path, i)
		if !fs.ValidPath(f.Path) || f.Path == "." || strings.ContainsAny(f.Path, "\\\x00") {
			c.bad(at+".path", "%q is not a clean relative path", f.Path)
		}
		if i > 0 && p.Files[i-1].Path >= f.Path {
			c.bad(at+".path", "%q must sort after %q: paths are sorted and unique", f.Path, p.Files[i-1].Path)
		}
		c.match(at+".sha256", f.SHA256, HexForm, "64 lower-case hex digits")
		c.positive(at+".size", f.Size)
	}
}

func (c *checker) layers(path string, layers []Layer) {
	if len(layers) == 0 {
		c.bad(path, "none given")
	}
	for i, l := range layers {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.digest(at+".digest", l.Digest)
		c.digest(at+".diffID", l.DiffID)
		c.positive(at+".size", l.Size)
	}
}

// variants checks what else there is of a platform's image: its other form, what it was packed
// from, and what is said about it.
func (c *checker) variants(path string, p *Platform) {
	if p.Size < 0 {
		c.bad(path+".size", "%d is not a number of bytes", p.Size)
	}
	if p.Gzip.Manifest != "" || p.Gzip.Size != 0 || len(p.Gzip.Layers) > 0 {
		c.digest(path+".gzip.manifest", p.Gzip.Manifest)
		c.positive(path+".gzip.size", p.Gzip.Size)
		c.layers(path+".gzip.layers", p.Gzip.Layers)
	}
	for i, d := range p.Debian {
		at := fmt.Sprintf("%s.debian[%d]", path, i)
		c.plain(at+".name", d.Name)
		c.plain(at+".version", d.Version)
		if !fs.ValidPath(d.Path) || !strings.HasSuffix(d.Path, ".deb") {
			c.bad(at+".path", "%q is not a clean relative path of a .deb file", d.Path)
		}
		c.match(at+".sha256", d.SHA256, HexForm, "64 lower-case hex digits")
	}
	for field, digest := range map[string]string{"spdx": p.Evidence.SPDX, "cyclonedx": p.Evidence.CycloneDX, "provenance": p.Evidence.Provenance} {
		if digest != "" {
			c.digest(path+".evidence."+field, digest)
		}
	}
}

func (c *checker) positive(field string, n int64) {
	if n <= 0 {
		c.bad(field, "%d is not a number of bytes above zero", n)
	}
}

// plain wants text without white space.
func (c *checker) plain(field, s string) {
	if s == "" || strings.ContainsAny(s, " \t\r\n") {
		c.bad(field, "%q is empty or has white space", s)
		return
	}
	c.text(field, s)
}

// text wants printable text on one line.
func (c *checker) text(field, s string) {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if s == "" || !utf8.ValidString(s) || slices.ContainsFunc([]rune(s), control) {
		c.bad(field, "%q is not one line of text", s)
	}
}
