package referrer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	theirs "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/registry"
)

const indexText = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`

var index = Manifest{types.OCIImageIndex, []byte(indexText)}

// repositories are all that there are: a layout, and registries with and without the API.
func repositories(t *testing.T) map[string]Repository {
	open := func(api bool) Repository {
		server := httptest.NewServer(theirs.New(theirs.WithReferrersSupport(api), theirs.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		return OpenRegistry(repositoryAt(t, server.URL), nil)
	}
	return map[string]Repository{
		"a layout":                   OpenLayout(filepath.Join(t.TempDir(), "layout"), "slipway/etcd"),
		"a registry with the API":    open(true),
		"a registry without the API": open(false),
	}
}

func repositoryAt(t testing.TB, url string) name.Repository {
	t.Helper()
	r, err := name.NewRepository(strings.TrimPrefix(url, "http://") + "/slipway/etcd")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var evidence = Evidence{SPDX: []byte(`{"spdx":1}`), CycloneDX: []byte(`{"cyclonedx":1}`), Provenance: []byte(`{"provenance":1}`)}

func TestEvidenceIsAttachedListedAndRead(t *testing.T) {
	for kind, r := range repositories(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			if err := r.PutManifest(ctx, index, "v3.6.16"); err != nil {
				t.Fatal(err)
			}
			if got, err := List(ctx, r, index.Digest(), ""); err != nil || len(got) != 0 {
				t.Fatalf("before anything was attached: %v %v", got, err)
			}
			for range 2 { // twice is as once
				for _, platform := range []string{"linux/amd64", "linux/arm64"} {
					if err := AttachEvidence(ctx, r, index.Descriptor(), platform, evidence); err != nil {
						t.Fatal(err)
					}
				}
			}
			all, err := List(ctx, r, index.Digest(), "")
			if err != nil || len(all) != 6 {
				t.Fatalf("%d referrers, %v: %+v", len(all), err, all)
			}
			got, err := List(ctx, r, index.Digest(), TypeProvenance)
			if err != nil || len(got) != 2 {
				t.Fatalf("%v %v", got, err)
			}
			platforms := map[string]bool{}
			for _, d := range got {
				a, err := Read(ctx, r, index.Digest(), d, 0)
				if err != nil {
					t.Fatal(err)
				}
				if a.Type != TypeProvenance || string(a.Content) != `{"provenance":1}` || a.Annotations[AnnotationPredicate] != "https://slsa.dev/provenance/v1" {
					t.Errorf("got %+v", a)
				}
				platforms[a.Annotations[AnnotationPlatform]] = d.Annotations[AnnotationPlatform] == a.Annotations[AnnotationPlatform]
			}
			if !platforms["linux/amd64"] || !platforms["linux/arm64"] {
				t.Errorf("platforms %v", platforms)
			}
			if _, err := Read(ctx, r, index.Digest(), got[0], 5); err == nil || !strings.Contains(err.Error(), "more than the 5 bytes") {
				t.Errorf("beyond a limit: %v", err)
			}
		})
	}
}

func TestWhatIsNotThereIsToldApart(t *testing.T) {
	absent := "sha256:" + strings.Repeat("0", 64)
	for kind, r := range repositories(t) {
		t.Run(kind, func(t *testing.T) {
			ctx := t.Context()
			if err := r.PutManifest(ctx, index, "v1"); err != nil {
				t.Fatal(err)
			}
			for _, reference := range []string{"v2", absent} {
				if _, err := r.Manifest(ctx, reference, MaxManifest); !errors.Is(err, ErrNotFound) {
					t.Errorf("manifest %s: %v", reference, err)
				}
			}
			if _, err := r.Blob(ctx, absent, MaxContent); !errors.Is(err, ErrNotFound) {
				t.Errorf("blob: %v", err)
			}
			if got, err := List(ctx, r, absent, ""); err != nil || len(got) != 0 {
				t.Errorf("referrers: %v %v", got, err)
			}
			if _, err := List(ctx, r, "v1", ""); err == nil {
				t.Error("the referrers of a tag were listed")
			}
		})
	}
}

func TestAnArtifactThatLiesIsRefused(t *testing.T) {
	ctx := context.Background()
	r := OpenLayout(t.TempDir(), "slipway/etcd")
	other := Manifest{types.OCIImageIndex, []byte(indexText + " ")}
	d, err := Attach(ctx, r, index.Descriptor(), Artifact{Type: TypeSPDX, Content: []byte("content")})
	if err != nil {
		t.Fatal(err)
	}
	wrongType := d
	wrongType.ArtifactType = TypeBundle
	tests := []struct {
		name    string
		subject string
		d       v1.Descriptor
		spoil   func()
		want    string
	}{
		{"about another image", other.Digest(), d, nil, "its subject is " + index.Digest()},
		{"of another type than listed", index.Digest(), wrongType, nil, `listed as "application/vnd.dev.sigstore`},
		{"with other content", index.Digest(), d, func() {
			overwrite(t, r.blob(Manifest{Content: []byte("content")}.Digest()), "CONTENT")
		}, "expected digest"},
		{"with another manifest", index.Digest(), d, func() { overwrite(t, r.blob(d.Digest.String()), "{}") }, "expected digest"},
		{"that is gone", index.Digest(), d, func() { _ = os.Remove(r.blob(d.Digest.String())) }, "not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.spoil != nil {
				tt.spoil()
			}
			if _, err := Read(ctx, r, tt.subject, tt.d, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func overwrite(t testing.TB, file, content string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestALayoutIsWrittenByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	const writers = 12
	for i := range writers {
		wg.Go(func() {
			r := OpenLayout(dir, fmt.Sprintf("slipway/%d", i%3))
			if _, err := Attach(t.Context(), r, index.Descriptor(), Artifact{Type: TypeSPDX, Content: fmt.Appendf(nil, "content %d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	total := 0
	for i := range 3 {
		all, err := List(t.Context(), OpenLayout(dir, fmt.Sprintf("slipway/%d", i)), index.Digest(), "")
		if err != nil {
			t.Fatal(err)
		}
		total += len(all)
	}
	if total != writers {
		t.Errorf("%d of %d are there", total, writers)
	}
}

func TestTheSameEvidenceGivesTheSameLayout(t *testing.T) {
	write := func(order ...string) string {
		dir := t.TempDir()
		for _, platform := range order {
			if err := AttachEvidence(t.Context(), OpenLayout(dir, "slipway/etcd"), index.Descriptor(), platform, evidence); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256")) // no list of before is left
		if err != nil {
			t.Fatal(err)
		}
		for _, blob := range blobs {
			b = append(b, blob.Name()+"\n"...)
		}
		return string(b)
	}
	if a, b := write("linux/amd64", "linux/arm64"), write("linux/arm64", "linux/amd64"); a != b {
		t.Errorf("the order is seen:\n%s\n%s", a, b)
	}
}

// TestOurRegistryListsReferrers asks as go-containerregistry does, by the API and by the tag.
func TestOurRegistryListsReferrers(t *testing.T) {
	dir := t.TempDir()
	r := OpenLayout(dir, "slipway/etcd")
	if err := r.PutManifest(t.Context(), index, "v3.6.16"); err != nil {
		t.Fatal(err)
	}
	if err := AttachEvidence(t.Context(), r, index.Descriptor(), "linux/amd64", evidence); err != nil {
		t.Fatal(err)
	}
	handler := registry.New(dir)
	withAPI := httptest.NewServer(handler)
	defer withAPI.Close()
	withoutAPI := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.URL.Path, "/referrers/") {
			http.NotFound(w, q)
			return
		}
		handler.ServeHTTP(w, q)
	}))
	defer withoutAPI.Close()
	for kind, url := range map[string]string{"with the API": withAPI.URL, "without it": withoutAPI.URL} {
		t.Run(kind, func(t *testing.T) {
			repository := repositoryAt(t, url)
			for filter, want := range map[string]int{"": 3, TypeSPDX: 1, "application/none": 0} {
				var options []remote.Option
				if filter != "" {
					options = append(options, remote.WithFilter("artifactType", filter))
				}
				list, err := remote.Referrers(repository.Digest(index.Digest()), options...)
				if err != nil {
					t.Fatal(err)
				}
				m, err := list.IndexManifest()
				if err != nil || len(m.Manifests) != want {
					t.Errorf("filter %q: %+v, %v", filter, m, err)
				}
			}
			ours := OpenRegistry(repository, nil)
			got, err := List(t.Context(), ours, index.Digest(), TypeCycloneDX)
			if err != nil || len(got) != 1 {
				t.Fatalf("%v %v", got, err)
			}
			a, err := Read(t.Context(), ours, index.Digest(), got[0], 0)
			if err != nil || !bytes.Equal(a.Content, evidence.CycloneDX) {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		for range 3 * MaxManifest / 1024 {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 1024)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	r := OpenRegistry(repositoryAt(t, server.URL), nil)
	if _, err := r.Manifest(t.Context(), "v1", MaxManifest); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("manifest: %v", err)
	}
	if _, err := List(t.Context(), r, index.Digest(), ""); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("referrers: %v", err)
	}
}

func FuzzParseArtifact(f *testing.F) {
	m, err := Artifact{Type: TypeSPDX, Content: []byte("x")}.Manifest(index.Descriptor())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Content)
	f.Add([]byte(`{"subject":{"digest":"sha256:0"},"layers":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, layer, err := ParseArtifact(data, index.Digest()); err == nil && checkDigest(layer.Digest.String()) != nil {
			t.Errorf("blob %q", layer.Digest)
		}
	})
}

func FuzzParseList(f *testing.F) {
	d := index.Descriptor()
	list, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list)
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseList(data)
		for _, d := range all {
			if err == nil && checkDigest(d.Digest.String()) != nil {
				t.Errorf("entry %q", d.Digest)
			}
		}
	})
}

func ExampleAttachEvidence() {
	dir, err := os.MkdirTemp("", "slipt-referrer-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, r := context.Background(), OpenLayout(dir, "slipway/etcd")
	if err := AttachEvidence(ctx, r, index.Descriptor(), "linux/amd64", Evidence{SPDX: []byte("{}")}); err != nil {
		panic(err)
	}
	list, err := List(ctx, r, index.Digest(), "")
	if err != nil {
		panic(err)
	}
	for _, d := range list {
		fmt.Println(d.ArtifactType, d.Annotations[AnnotationPlatform])
	}
	// Output: application/spdx+json linux/amd64
}
