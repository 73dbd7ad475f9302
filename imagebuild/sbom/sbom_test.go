package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
)

var update = flag.Bool("update", false, "write the golden files anew")

// program is the small program of testdata/program, compiled once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "slipt-sbom-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "small")
	cmd := exec.Command("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", file, ".")
	cmd.Dir = filepath.Join("testdata", "program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return os.ReadFile(file)
})

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func opener(dir string) Open {
	return func(path string) (Source, error) { return os.Open(filepath.Join(dir, filepath.FromSlash(path))) }
}

func binary(t testing.TB, dir, path string) lock.Binary {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return lock.Binary{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}

// sample is an image with a Go program, a file that is no program, and two Debian packages.
func sample(t testing.TB) (*lock.Image, *lock.Platform, string) {
	t.Helper()
	dir := t.TempDir()
	small, err := program()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "usr/bin/small", string(small))
	write(t, dir, "etc/small.conf", "answer = 42\n")
	img := &lock.Image{
		Name: "small", Version: "v1.2.3", Repository: "slipway/small",
		Source: lock.Source{Module: "slipway.build/small", Version: "v1.2.3", Sum: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
	}
	p := &lock.Platform{
		Platform: "linux/amd64",
		Manifest: "sha256:" + strings.Repeat("a", 64),
		Gzip:     lock.Form{Manifest: "sha256:" + strings.Repeat("b", 64)},
		Files:    []lock.Binary{binary(t, dir, "etc/small.conf"), binary(t, dir, "usr/bin/small")},
		Debian: []lock.Package{
			{Name: "libc6", Version: "2.36-9+deb12u13", Path: "pool/main/g/glibc/libc6_2.36-9+deb12u13_amd64.deb", SHA256: strings.Repeat("1", 64)},
			{Name: "bird", Version: "1:1.6.8-2.1", Path: "pool/main/b/bird/bird_1.6.8-2.1_amd64.deb", SHA256: strings.Repeat("2", 64)},
		},
	}
	return img, p, dir
}

func read(t testing.TB, img *lock.Image, p *lock.Platform, dir string) *Inventory {
	t.Helper()
	inv, err := Read(img, p, opener(dir))
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func documents(t testing.TB, inv *Inventory) map[string][]byte {
	t.Helper()
	spdx, err := inv.SPDX()
	if err != nil {
		t.Fatal(err)
	}
	cdx, err := inv.CycloneDX()
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"spdx": spdx, "cyclonedx": cdx}
}

// fixed replaces what depends on the toolchain that tests run with.
func fixed(inv *Inventory) {
	for i := range inv.Files {
		f := &inv.Files[i]
		if f.Program != nil {
			f.SHA1, f.SHA256, f.Size = strings.Repeat("c", 40), strings.Repeat("d", 64), 4242
			f.Program.Toolchain = "go1.26.7"
		}
	}
}

func TestTheDocumentsAreAsTheGoldenFiles(t *testing.T) {
	img, p, dir := sample(t)
	inv := read(t, img, p, dir)
	fixed(inv)
	for name, got := range documents(t, inv) {
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s; run with -update and look at the difference\n%s", name, golden, got)
		}
	}
}

// TestEveryModuleIsThere compares with what the go command itself reads out of a program.
func TestEveryModuleIsThere(t *testing.T) {
	img, p, dir := sample(t)
	docs := documents(t, read(t, img, p, dir))
	out, err := exec.Command("go", "version", "-m", filepath.Join(dir, "usr/bin/small")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	modules := 0
	for i, line := range lines {
		f := strings.Fields(line)
		if len(f) < 3 || (f[0] != "dep" && f[0] != "=>") {
			continue
		}
		if i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), "=>") {
			continue // it is replaced by the next
		}
		modules++
		if strings.HasPrefix(f[1], "./") {
			f = []string{f[0], "slipway.build/replaced", "v0.0.0"}
		}
		for name, doc := range docs {
			if !strings.Contains(string(doc), f[1]+"@"+f[2]+`"`) {
				t.Errorf("%s has no package URL of %s %s", name, f[1], f[2])
			}
			if len(f) > 3 && !strings.Contains(string(doc), f[3]) {
				t.Errorf("%s has no sum %s of %s", name, f[3], f[1])
			}
		}
	}
	if modules < 2 {
		t.Errorf("only %d modules in the program:\n%s", modules, out)
	}
}

func TestTheDocumentsDependOnTheImageAlone(t *testing.T) {
	img, p, dir := sample(t)
	first := documents(t, read(t, img, p, dir))
	slices.Reverse(p.Files)
	slices.Reverse(p.Debian)
	moved := t.TempDir()
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for name, again := range documents(t, read(t, img, p, moved)) {
		if !bytes.Equal(first[name], again) {
			t.Errorf("%s differs after a change of order and place", name)
		}
	}
	p.Debian[0].Version += "x"
	for name, changed := range documents(t, read(t, img, p, dir)) {
		if identity(t, first[name]) == identity(t, changed) {
			t.Errorf("%s of another image has the same name %s", name, identity(t, changed))
		}
	}
}

// identity returns a document's own name.
func identity(t testing.TB, doc []byte) string {
	t.Helper()
	var d struct{ DocumentNamespace, SerialNumber string }
	if err := json.Unmarshal(doc, &d); err != nil || d.DocumentNamespace+d.SerialNumber == "" {
		t.Fatalf("no name: %v\n%s", err, doc)
	}
	return d.DocumentNamespace + d.SerialNumber
}

func TestFilesThatAreNotTheLocksAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *lock.Platform, dir string)
		want   string
	}{
		{"a file that is longer", func(_ *lock.Platform, dir string) { write(t, dir, "etc/small.conf", "answer = 420\n") }, "found 13 or more"},
		{"a file that is shorter", func(_ *lock.Platform, dir string) { write(t, dir, "etc/small.conf", "answer\n") }, "found 7 or more"},
		{"another file", func(_ *lock.Platform, dir string) { write(t, dir, "etc/small.conf", "answer = 43\n") }, "expected 12 bytes with sha256"},
		{"a file that is missing", func(p *lock.Platform, _ string) { p.Files[0].Path = "etc/none" }, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img, p, dir := sample(t)
			tt.change(p, dir)
			if _, err := Read(img, p, opener(dir)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPackageURLs(t *testing.T) {
	tests := []struct{ got, want string }{
		{Module{Path: "github.com/Azure/go", Version: "v1.0.0+incompatible"}.PURL(), "pkg:golang/github.com/azure/go@v1.0.0%2Bincompatible"},
		{Module{Path: "example.com/m"}.PURL(), "pkg:golang/example.com/m"},
		{standardLibrary("go1.26.7").PURL(), "pkg:golang/stdlib@1.26.7"},
		{PackageURL(lock.Package{Name: "libstdc++6", Version: "1:2~3+b1", Path: "pool/l/libstdc++6_2~3+b1_arm64.deb"}), "pkg:deb/debian/libstdc%2B%2B6@1%3A2~3%2Bb1?arch=arm64"},
		{(&Inventory{Repository: "slipway/etcd", Version: "v3", Platform: "linux/arm64"}).purl("sha256:ab"), "pkg:oci/etcd@sha256%3Aab?arch=arm64&tag=v3"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}
