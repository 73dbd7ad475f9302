package release

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
)

// today is when the tests' locks are judged.
var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sum is a digest that stands for what is named.
func sum(parts ...string) string {
	s := sha256.Sum256([]byte(strings.Join(parts, "|")))
	return "sha256:" + hex.EncodeToString(s[:])
}

func bare(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// platformOf is a complete platform of an image with one file, whose bytes content stands for.
func platformOf(name, platform, content string) lock.Platform {
	layer := func(kind string) []lock.Layer {
		return []lock.Layer{{Digest: sum(name, platform, content, kind), DiffID: sum(name, platform, content), Size: 1000}}
	}
	return lock.Platform{
		Platform: platform, Manifest: sum("manifest", name, platform, content), Size: 500, Config: sum("config", name, platform, content),
		Layers: layer("zstd"), Files: []lock.Binary{{Path: "usr/bin/" + name, SHA256: bare(sum("file", name, platform, content)), Size: 3000}},
		Gzip:     lock.Form{Manifest: sum("gzip", name, platform, content), Size: 400, Layers: layer("gzip")},
		Evidence: lock.Evidence{SPDX: sum("spdx", name, platform), CycloneDX: sum("cyclonedx", name, platform), Provenance: sum("provenance", name, platform)},
	}
}

// image is a complete image from source, for both platforms.
func image(name, version string, minors ...string) lock.Image {
	img := lock.Image{
		Name: name, Version: version, Repository: "slipway/" + name,
		Source: lock.Source{
			Module: "example.org/" + name, Version: version, Sum: "h1:oyM9Y9vzd0fY3Ahn0sVlwxY5pHR1ZxQAk1WTqcUZMDo=",
			Packages: []string{"example.org/" + name}, Flags: []string{"CGO_ENABLED=0", "-trimpath"}, GoSum: sum("go.sum", name, version),
		},
		Kubernetes: minors, Index: sum("index", name, version),
		Platforms: []lock.Platform{platformOf(name, "linux/amd64", version), platformOf(name, "linux/arm64", version)},
	}
	if slices.Contains(releaseSet(), name) {
		img.Source.Module, img.Supported = "k8s.io/kubernetes", "2027-06-28"
	}
	return img
}

// kubernetes is a whole release.
func kubernetes(version string) []lock.Image {
	m, _ := minorOf(version)
	var all []lock.Image
	for _, name := range releaseSet() {
		all = append(all, image(name, version, m.String()))
	}
	return all
}

// lockOf is a lock that was issued, of images in any order.
func lockOf(t testing.TB, images ...[]lock.Image) *lock.Lock {
	t.Helper()
	l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7", Images: slices.Concat(images...)}
	slices.SortFunc(l.Images, func(a, b lock.Image) int { return a.Compare(&b) })
	l.Issue(7, today.Add(-time.Hour), 24*time.Hour)
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return l
}

// one is a list of one image.
func one(name, version string, minors ...string) []lock.Image {
	return []lock.Image{image(name, version, minors...)}
}

// sound is a lock that nothing is held against.
func sound(t testing.TB) *lock.Lock {
	return lockOf(t, kubernetes("v1.35.4"), kubernetes("v1.36.1"), kubernetes("v1.36.3"), one("etcd", "v3.6.16", "1.34", "1.35", "1.36"), one("coredns", "v1.15.0"))
}

func subject(l *lock.Lock) Subject {
	return Subject{Lock: l, Now: today, Signature: Signature{KeyID: sum("key")}}
}

// find returns the findings of one rule.
func find(t testing.TB, rule string, s Subject) []string {
	t.Helper()
	report, err := Check(s)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(report.Rules, rule) {
		t.Fatalf("there is no rule %q", rule)
	}
	found := []string{}
	for _, f := range report.Findings {
		if f.Problem == "" || f.Remedy == "" || f.Field == "" {
			t.Errorf("finding without field, problem or remedy: %+v", f)
		}
		if f.Rule == rule {
			found = append(found, f.Image+" "+f.Field+": "+f.Problem)
		}
	}
	return found
}

// expect compares findings with what each must contain.
func expect(t testing.TB, found []string, want ...string) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("found %d, want %d:\n%s", len(found), len(want), strings.Join(found, "\n"))
	}
	for i := range want {
		if !strings.Contains(found[i], want[i]) {
			t.Errorf("found %q, want %q in it", found[i], want[i])
		}
	}
}
