package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/dirhash"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/component"
)

// Kubernetes is the version whose tests are built. The recipes of the components name the same.
const Kubernetes = "v1.36.3"

// The programs, by the name of their file.
const (
	E2E             = "e2e.test"
	Ginkgo          = "ginkgo"
	Agnhost         = "agnhost"
	SampleAPIServer = "sample-apiserver"
	NoNewPrivileges = "nnp"
)

// The files that agnhost serves TLS with and that tests ask it for. They are upstream's, out of
// the module: a certificate for a test, which nobody trusts.
const (
	Certificate = "localhost.crt"
	Key         = "localhost.key"
)

// program is one file that go build, or go test -c, writes.
type program struct {
	Name, Package string
	Test          bool
}

// all is ordered so that a cold build is fastest, and ends with the largest.
func all() []program {
	return []program{
		{NoNewPrivileges, "slipway.build/conformance/nnp", false},
		{Ginkgo, "github.com/onsi/ginkgo/v2/ginkgo", false},
		{Agnhost, "k8s.io/kubernetes/test/images/agnhost", false},
		{SampleAPIServer, "k8s.io/sample-apiserver", false},
		{E2E, "k8s.io/kubernetes/test/e2e", true},
	}
}

// Options say where Build reads and writes.
type Options struct {
	// Sources is the directory of the build module: ci/conformance/sources.
	Sources string
	// Cache is the directory of slow builds' results; empty means buildcache.Dir().
	Cache string
	// Report, if set, is told what is being compiled.
	Report func(text string)
}

// format is the version of what this package does beside calling the go command.
const format = 2

// inputs is everything that decides the bytes of the programs.
type inputs struct {
	Format    int
	Toolchain string
	Settings  []string
	Flags     []string
	Programs  []program
	Tree      string // h1 sum of the build module's folder, which has go.mod and go.sum
}

// Build compiles the programs, or finds them in the cache, and returns the directory that holds
// them under their names. It is safe to kill and safe to run twice at the same time.
func Build(ctx context.Context, o Options) (string, error) {
	if o.Cache == "" {
		o.Cache = buildcache.Dir()
	}
	in := inputs{Format: format, Toolchain: component.Toolchain, Settings: settings(), Flags: flags(), Programs: all()}
	var err error
	if in.Tree, err = dirhash.HashDir(o.Sources, "sources", dirhash.Hash1); err != nil {
		return "", fmt.Errorf("hash the build module of the conformance tests: %w", err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(text)
	dir := filepath.Join(o.Cache, "conformance", "programs", hex.EncodeToString(key[:]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("open the build cache: %w; set SLIPWAY_CACHE to a directory that can be written", err)
	}
	unlock, err := buildcache.Exclusive(ctx, dir+".lock", nil)
	if err != nil {
		return "", fmt.Errorf("wait for another build of the conformance tests: %w", err)
	}
	defer unlock()
	if intact(dir) {
		return dir, nil
	}
	if err := o.compile(ctx, dir); err != nil {
		return "", err
	}
	return dir, nil
}

// compile builds into a directory of another name, which gets its own when it is complete.
func (o Options) compile(ctx context.Context, dir string) error {
	work := dir + ".work"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)); err != nil {
		return fmt.Errorf("build the conformance tests: %w", err)
	}
	for _, p := range all() {
		begun := time.Now()
		o.say("compiles %s", p.Name)
		if err := p.build(ctx, o.Sources, filepath.Join(work, p.Name)); err != nil {
			return fmt.Errorf("build %s: %w", p.Name, err)
		}
		o.say("compiled %s in %.0f s", p.Name, time.Since(begun).Seconds())
	}
	if err := copyFiles(ctx, o.Sources, work); err != nil {
		return err
	}
	if err := writeSums(work); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // a damaged entry
		return fmt.Errorf("replace the cache entry: %w", err)
	}
	if err := os.Rename(work, dir); err != nil {
		return fmt.Errorf("write the cache entry: %w", err)
	}
	return nil
}

func (o Options) say(form string, a ...any) {
	if o.Report != nil {
		o.Report(fmt.Sprintf(form, a...))
	}
}
