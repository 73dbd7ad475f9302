package provenance

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sbom"
)

var update = flag.Bool("update", false, "write the golden file anew")

const (
	toolchain = "go1.26.7"
	sumA      = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	sumB      = "h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0="
)

func hexOf(c string) string { return strings.Repeat(c, 64) }

func sample() (*lock.Image, *lock.Platform, *sbom.Inventory) {
	img := &lock.Image{
		Name: "small", Version: "v1.2.3", Repository: "slipway/small",
		Source: lock.Source{
			Module: "example.com/small", Version: "v1.2.3", Sum: sumA, GoSum: "sha256:" + hexOf("5"),
			Packages: []string{"example.com/small/cmd/small"}, Flags: []string{"CGO_ENABLED=0", "-trimpath"},
		},
	}
	p := &lock.Platform{
		Platform: "linux/amd64", Manifest: "sha256:" + hexOf("a"), Gzip: lock.Form{Manifest: "sha256:" + hexOf("b")},
		Files:  []lock.Binary{{Path: "usr/bin/small", SHA256: hexOf("d"), Size: 42}},
		Debian: []lock.Package{{Name: "bird", Version: "1:1.6.8-2.1", Path: "pool/b/bird_1.6.8-2.1_amd64.deb", SHA256: hexOf("2")}},
	}
	inv := &sbom.Inventory{Files: []sbom.File{{Binary: p.Files[0], Program: &sbom.Program{
		Package: "example.com/small/cmd/small", Toolchain: toolchain,
		Main: sbom.Module{Path: "example.com/small", Version: "v1.2.3", Sum: sumA},
		Deps: []sbom.Module{{Path: "example.com/dep", Version: "v0.1.0", Sum: sumB, Replaces: "example.com/old@v0.0.0"}},
	}}}}
	return img, p, inv
}

func statement(t testing.TB, img *lock.Image, p *lock.Platform, inv *sbom.Inventory) []byte {
	t.Helper()
	s, err := New(img, p, toolchain, inv)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// made returns the sample's statement.
func made(t testing.TB) []byte {
	img, p, inv := sample()
	return statement(t, img, p, inv)
}

func TestTheStatementIsAsTheGoldenFile(t *testing.T) {
	got := made(t)
	var indented bytes.Buffer
	if err := json.Indent(&indented, got, "", " "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	const golden = "testdata/statement.json"
	if *update {
		if err := os.WriteFile(golden, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(indented.Bytes(), want) {
		t.Errorf("differs from %s; run with -update and look at the difference\n%s", golden, &indented)
	}
}

func TestAStatementFitsItsLockEntry(t *testing.T) {
	img, p, inv := sample()
	made := statement(t, img, p, inv)
	if err := Verify(made, img, p, toolchain); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*lock.Image, *lock.Platform, *string)
		want   string
	}{
		{"another manifest", func(_ *lock.Image, p *lock.Platform, _ *string) { p.Manifest = "sha256:" + hexOf("e") }, "subject: slipway/small@sha256:eeee"},
		{"another gzip manifest", func(_ *lock.Image, p *lock.Platform, _ *string) { p.Gzip.Manifest = "sha256:" + hexOf("e") }, "bbbb is not in the lock"},
		{"another program", func(_ *lock.Image, p *lock.Platform, _ *string) { p.Files[0].SHA256 = hexOf("e") }, "subject: usr/bin/small sha256:eeee"},
		{"a file more", func(_ *lock.Image, p *lock.Platform, _ *string) {
			p.Files = append(p.Files, lock.Binary{Path: "usr/bin/z", SHA256: hexOf("e")})
		}, "subject: usr/bin/z"},
		{"another Debian package", func(_ *lock.Image, p *lock.Platform, _ *string) { p.Debian[0].SHA256 = hexOf("e") }, "resolvedDependencies: pool/b/bird"},
		{"another module sum", func(i *lock.Image, _ *lock.Platform, _ *string) { i.Source.Sum = sumB }, "has the sum " + sumA},
		{"another module", func(i *lock.Image, _ *lock.Platform, _ *string) { i.Source.Module = "example.com/other" }, "module example.com/other"},
		{"another go.sum", func(i *lock.Image, _ *lock.Platform, _ *string) { i.Source.GoSum = "sha256:" + hexOf("e") }, "resolvedDependencies: go.sum"},
		{"other flags", func(i *lock.Image, _ *lock.Platform, _ *string) { i.Source.Flags = i.Source.Flags[:1] }, "externalParameters"},
		{"another platform", func(_ *lock.Image, p *lock.Platform, _ *string) { p.Platform = "linux/arm64" }, "externalParameters"},
		{"another toolchain", func(_ *lock.Image, _ *lock.Platform, tc *string) { *tc = "go1.26.8" }, "toolchain@1.26.8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img, p, _ := sample()
			tc := toolchain
			tt.change(img, p, &tc)
			if err := Verify(made, img, p, tc); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheStatementDependsOnTheImageAlone(t *testing.T) {
	img, p, inv := sample()
	p.Debian = append(p.Debian, lock.Package{Name: "ipset", Version: "7", Path: "pool/i/ipset_7_amd64.deb", SHA256: hexOf("3")})
	first := statement(t, img, p, inv)
	slices.Reverse(p.Debian)
	if again := statement(t, img, p, inv); !bytes.Equal(first, again) {
		t.Errorf("another order gives other bytes:\n%s\n%s", first, again)
	}
}

func TestAProgramOfAnotherToolchainIsRefused(t *testing.T) {
	img, p, inv := sample()
	p.Debian = nil
	inv.Files[0].Program.Toolchain = "go1.20"
	if _, err := New(img, p, toolchain, inv); err == nil || !strings.Contains(err.Error(), "linked by go1.20") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoStatementOfOursIsRefused(t *testing.T) {
	good := string(made(t))
	tests := []struct{ name, text, want string }{
		{"nothing", "", "EOF"},
		{"cut off", good[:len(good)/2], "unexpected EOF"},
		{"more behind it", good + "{}", "more after the statement"},
		{"an unknown field", strings.Replace(good, `"_type"`, `"surprise":1,"_type"`, 1), `unknown field "surprise"`},
		{"another type", strings.Replace(good, "Statement/v1", "Statement/v0.1", 1), "_type"},
		{"another predicate", strings.Replace(good, "provenance/v1", "provenance/v0.2", 1), "predicateType"},
		{"another build type", strings.Replace(good, BuildType, "https://example.com/make", 1), "buildType"},
		{"another builder", strings.Replace(good, BuilderID, "https://example.com/me", 1), "builder.id"},
		{"too long", strings.Repeat(" ", MaxSize+1), "more than the"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	img, p, inv := sample()
	f.Add(statement(f, img, p, inv))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Verify(data, img, p, toolchain); err != nil {
			return
		}
		s, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, digest := range []string{p.Manifest, p.Gzip.Manifest} {
			if !slices.ContainsFunc(s.Subject, func(r Resource) bool { return "sha256:"+r.Digest["sha256"] == digest }) {
				t.Errorf("verified without the subject %s", digest)
			}
		}
	})
}
