package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// layout is an OCI layout with one index, one manifest and one layer of 100,000 bytes.
type layout struct {
	dir                    string
	index, manifest, layer string // digests
	content                string // of the layer
}

func newLayout(t testing.TB) layout {
	t.Helper()
	l := layout{dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(l.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "%09d\n", i)
	}
	l.content = b.String()
	l.layer = l.write(t, l.content)
	l.manifest = l.write(t, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`)
	l.index = l.write(t, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	text := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":%q,"size":1,"annotations":{%q:"slipway/etcd:v3.6.16"}}]}`, l.index, ocilayout.RefName)
	if err := os.WriteFile(filepath.Join(l.dir, "index.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l layout) write(t testing.TB, content string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	name := hex.EncodeToString(sum[:])
	if err := os.WriteFile(l.blob("sha256:"+name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return "sha256:" + name
}

func (l layout) blob(digest string) string {
	return filepath.Join(l.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func ask(t testing.TB, server *httptest.Server, method, path, ranges string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestReading(t *testing.T) {
	l := newLayout(t)
	server := httptest.NewServer(New(l.dir))
	defer server.Close()
	absent := "sha256:" + strings.Repeat("0", 64)
	const (
		manifestType = "application/vnd.oci.image.manifest.v1+json"
		indexType    = "application/vnd.oci.image.index.v1+json"
		bytesType    = "application/octet-stream"
		jsonType     = "application/json"
	)
	tests := []struct {
		name, path  string
		status      int
		contentType string
		digest      string
		code        string // of the error
	}{
		{"the version check", "/v2/", 200, jsonType, "", ""},
		{"an index by tag", "/v2/slipway/etcd/manifests/v3.6.16", 200, indexType, l.index, ""},
		{"an index by digest", "/v2/slipway/etcd/manifests/" + l.index, 200, indexType, l.index, ""},
		{"a manifest by digest", "/v2/slipway/etcd/manifests/" + l.manifest, 200, manifestType, l.manifest, ""},
		{"a blob", "/v2/slipway/etcd/blobs/" + l.layer, 200, bytesType, l.layer, ""},
		{"the tags", "/v2/slipway/etcd/tags/list", 200, jsonType, "", ""},
		{"an unknown tag", "/v2/slipway/etcd/manifests/v9", 404, jsonType, "", "MANIFEST_UNKNOWN"},
		{"a tag of another repository", "/v2/slipway/other/manifests/v3.6.16", 404, jsonType, "", "MANIFEST_UNKNOWN"},
		{"an unknown manifest", "/v2/slipway/etcd/manifests/" + absent, 404, jsonType, "", "MANIFEST_UNKNOWN"},
		{"an unknown blob", "/v2/slipway/etcd/blobs/" + absent, 404, jsonType, "", "BLOB_UNKNOWN"},
		{"a blob that is no digest", "/v2/slipway/etcd/blobs/v3.6.16", 400, jsonType, "", "DIGEST_INVALID"},
		{"a blob that climbs", "/v2/slipway/etcd/blobs/sha256:..%2f..%2findex.json", 404, jsonType, "", "NAME_INVALID"},
		{"tags of an unknown repository", "/v2/slipway/other/tags/list", 404, jsonType, "", "NAME_UNKNOWN"},
		{"another path", "/v1/x", 404, jsonType, "", "NAME_INVALID"},
		{"a file of the layout", "/v2/index.json", 404, jsonType, "", "NAME_INVALID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, body := ask(t, server, "GET", tt.path, "")
			if got.StatusCode != tt.status || got.Header.Get("Content-Type") != tt.contentType || got.Header.Get("Docker-Content-Digest") != tt.digest {
				t.Errorf("got %d, %q, digest %q: %s", got.StatusCode, got.Header.Get("Content-Type"), got.Header.Get("Docker-Content-Digest"), body)
			}
			if tt.code != "" && !strings.Contains(body, `"code":"`+tt.code+`"`) {
				t.Errorf("body %s, want the code %s", body, tt.code)
			}
			head, empty := ask(t, server, "HEAD", tt.path, "")
			if head.StatusCode != tt.status || empty != "" {
				t.Errorf("HEAD gave %d and %d bytes", head.StatusCode, len(empty))
			}
			if tt.digest != "" && head.ContentLength != int64(len(body)) {
				t.Errorf("HEAD says %d bytes, GET gave %d", head.ContentLength, len(body))
			}
		})
	}
}

func TestTagsAreListed(t *testing.T) {
	server := httptest.NewServer(New(newLayout(t).dir))
	defer server.Close()
	_, body := ask(t, server, "GET", "/v2/slipway/etcd/tags/list", "")
	var got struct {
		Name string
		Tags []string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Name != "slipway/etcd" || len(got.Tags) != 1 || got.Tags[0] != "v3.6.16" {
		t.Errorf("got %s (%v)", body, err)
	}
}

func TestRangesLetAClientResume(t *testing.T) {
	l := newLayout(t)
	server := httptest.NewServer(New(l.dir))
	defer server.Close()
	size := len(l.content)
	tests := []struct {
		name, ranges string
		status       int
		want         string
	}{
		{"closed", "bytes=10-19", 206, l.content[10:20]},
		{"open", "bytes=99990-", 206, l.content[99990:]},
		{"from zero", "bytes=0-", 206, l.content},
		{"the last bytes", "bytes=-10", 206, l.content[size-10:]},
		{"beyond the end", fmt.Sprintf("bytes=%d-", size), 416, ""},
		{"an end that is cut", fmt.Sprintf("bytes=99990-%d", 2*size), 206, l.content[99990:]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, body := ask(t, server, "GET", "/v2/slipway/etcd/blobs/"+l.layer, tt.ranges)
			if got.StatusCode != tt.status {
				t.Fatalf("status %d", got.StatusCode)
			}
			if tt.status == 206 && body != tt.want {
				t.Errorf("got %d bytes, want %d", len(body), len(tt.want))
			}
		})
	}
}

func TestNothingCanBeWritten(t *testing.T) {
	l := newLayout(t)
	server := httptest.NewServer(New(l.dir))
	defer server.Close()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"/v2/slipway/etcd/blobs/uploads/", "/v2/slipway/etcd/manifests/v3.6.16", "/v2/slipway/etcd/blobs/" + l.layer} {
			got, body := ask(t, server, method, path, "")
			if got.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(body, "UNSUPPORTED") {
				t.Errorf("%s %s gave %d %s", method, path, got.StatusCode, body)
			}
		}
	}
	if _, body := ask(t, server, "GET", "/v2/slipway/etcd/blobs/"+l.layer, ""); body != l.content {
		t.Error("the blob has changed")
	}
}

func TestATamperedLayoutIsServedAsItIs(t *testing.T) {
	l := newLayout(t)
	server := httptest.NewServer(New(l.dir))
	defer server.Close()
	for digest, path := range map[string]string{l.layer: "blobs", l.manifest: "manifests"} {
		if err := os.WriteFile(l.blob(digest), []byte("tampered"), 0o644); err != nil {
			t.Fatal(err)
		}
		got, body := ask(t, server, "GET", "/v2/slipway/etcd/"+path+"/"+digest, "")
		if got.StatusCode != 200 || body != "tampered" {
			t.Errorf("%s: %d %q", path, got.StatusCode, body)
		}
	}
}

func TestALayoutMayComeLater(t *testing.T) {
	l := newLayout(t)
	dir := filepath.Join(t.TempDir(), "later")
	server := httptest.NewServer(New(dir))
	defer server.Close()
	if got, _ := ask(t, server, "GET", "/v2/slipway/etcd/manifests/v3.6.16", ""); got.StatusCode != 404 {
		t.Errorf("without a layout: %d", got.StatusCode)
	}
	if err := os.Rename(l.dir, dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := ask(t, server, "GET", "/v2/slipway/etcd/manifests/v3.6.16", ""); got.StatusCode != 200 {
		t.Errorf("with the layout: %d", got.StatusCode)
	}
}

func BenchmarkBlob(b *testing.B) {
	l := newLayout(b)
	content := strings.Repeat(l.content, 200)
	digest := l.write(b, content)
	server := httptest.NewServer(New(l.dir))
	defer server.Close()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		resp, err := server.Client().Get(server.URL + "/v2/x/blobs/" + digest)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil || n != int64(len(content)) {
			b.Fatal(n, err)
		}
	}
}
