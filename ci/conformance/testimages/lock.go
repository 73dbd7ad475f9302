package testimages

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v3"

	"slipway.build/slipway/imagebuild/debian"
)

// Lock is ci/conformance/images.yaml: the Debian packages that go in, and the images that come
// out.
type Lock struct {
	// Schema is the version of the file's form: 1.
	Schema int `yaml:"schema"`
	// Kubernetes is the version whose tests the images are for.
	Kubernetes string `yaml:"kubernetes"`
	// Sets are the packages of each set of tools, sorted by name.
	Sets map[string][]Package `yaml:"sets"`
	// Images are sorted by repository and tag.
	Images []Locked `yaml:"images"`
}

// Package is one Debian package.
type Package struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
	Arch    string `yaml:"arch"`
	Size    int64  `yaml:"size"` // bytes
	SHA256  string `yaml:"sha256"`
}

// Locked is one image.
type Locked struct {
	Repository string `yaml:"repository"`
	Tag        string `yaml:"tag"`
	Manifest   string `yaml:"manifest"` // digest
}

var (
	archForm = regexp.MustCompile(`^(amd64|all)$`)
	sumForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	repoForm = regexp.MustCompile(`^[a-z0-9]+([./-][a-z0-9]+)*$`)
	tagForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// maxLock is more than a lock of this kind is ever long.
const maxLock = 1 << 20

// maxPackage bounds one package's file.
const maxPackage = 256 << 20

// LoadLock reads and checks a lock.
func LoadLock(file string) (*Lock, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the lock of the tests' images: %w", err)
	}
	l, err := ParseLock(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// ParseLock reads a lock. An unknown field, a second document or a value of another form is an
// error that names it.
func ParseLock(text []byte) (*Lock, error) {
	if len(text) > maxLock {
		return nil, fmt.Errorf("%d bytes are no lock of test images", len(text))
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var l Lock
	if err := dec.Decode(&l); err != nil {
		return nil, err
	}
	var second any
	if dec.Decode(&second) == nil {
		return nil, errors.New("more than one document")
	}
	return &l, l.validate()
}

func (l *Lock) validate() error {
	if l.Schema != 1 {
		return fmt.Errorf("schema: %d is not 1", l.Schema)
	}
	for set, packages := range l.Sets {
		for i, p := range packages {
			if err := p.validate(); err != nil {
				return fmt.Errorf("sets.%s[%d] %.100q: %w", set, i, p.Name, err)
			}
			if i > 0 && packages[i-1].Name >= p.Name {
				return fmt.Errorf("sets.%s[%d] %s: not sorted by name", set, i, p.Name)
			}
		}
	}
	for i, m := range l.Images {
		if !repoForm.MatchString(m.Repository) || !tagForm.MatchString(m.Tag) {
			return fmt.Errorf("images[%d]: %.100q:%.100q is no image's name", i, m.Repository, m.Tag)
		}
		if hex, ok := strings.CutPrefix(m.Manifest, "sha256:"); !ok || !sumForm.MatchString(hex) {
			return fmt.Errorf("images[%d] %s: manifest %.100q is no digest", i, m.Name(), m.Manifest)
		}
		if i > 0 && l.Images[i-1].Name() >= m.Name() {
			return fmt.Errorf("images[%d] %s: not sorted by name", i, m.Name())
		}
	}
	return nil
}

func (p Package) validate() error {
	if err := debian.Check(p.pinned()); err != nil {
		return err
	}
	switch {
	case !archForm.MatchString(p.Arch):
		return fmt.Errorf("arch %.100q is neither amd64 nor all", p.Arch)
	case p.Size <= 0 || p.Size > maxPackage:
		return fmt.Errorf("size %d is no package's", p.Size)
	}
	return nil
}

// Name is repository and tag, as the tests name the image behind the registry.
func (m Locked) Name() string { return m.Repository + ":" + m.Tag }

// Check reports every image that differs from the lock, is missing or is not in it.
func (l *Lock) Check(built []Locked) error {
	var problems []error
	for _, b := range built {
		i := slices.IndexFunc(l.Images, func(m Locked) bool { return m.Name() == b.Name() })
		switch {
		case i < 0:
			problems = append(problems, fmt.Errorf("%s is not in the lock", b.Name()))
		case l.Images[i].Manifest != b.Manifest:
			problems = append(problems, fmt.Errorf("%s is %s, the lock says %s", b.Name(), b.Manifest, l.Images[i].Manifest))
		}
	}
	for _, m := range l.Images {
		if !slices.ContainsFunc(built, func(b Locked) bool { return m.Name() == b.Name() }) {
			problems = append(problems, fmt.Errorf("%s is in the lock and was not built", m.Name()))
		}
	}
	return errors.Join(problems...)
}

// Write replaces the file with the lock.
func (l *Lock) Write(file string) error {
	if err := l.validate(); err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString(header)
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(l), enc.Close()); err != nil {
		return err
	}
	if err := renameio.WriteFile(file, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the lock of the tests' images: %w", err)
	}
	return nil
}

const header = `# The images of the conformance tests: which Debian packages go in, and what comes out.
# Written by "go run ./ci/conformance/run -lock"; a run refuses images that differ.
`
