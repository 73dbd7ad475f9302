package pull_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
)

// variant is one manifest of an index.
type variant struct {
	arch, media string
	content     []byte
	image       *testimage.Image
}

// variants are those of an image as we publish it: for each platform gzip first, for clients that know no better.
func variants(t *testing.T) []variant {
	t.Helper()
	var all []variant
	for _, arch := range []string{"amd64", "arm64"} {
		content := testimage.Content("etcd for "+arch, 200_000)
		for _, media := range []string{testimage.Gzip, testimage.Zstd} {
			all = append(all, variant{arch, media, content, testimage.New(t, "etcd", media, []testimage.File{{Path: "usr/bin/etcd", Content: content}})})
		}
	}
	return all
}

// indexOf is an image index in the form of imagebuild's.
func indexOf(t *testing.T, all []variant) []byte {
	t.Helper()
	var manifests []any
	for _, v := range all {
		d := map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": v.image.Platform().Manifest, "size": len(v.image.Manifest),
			"platform": map[string]string{"os": "linux", "architecture": v.arch},
		}
		if v.media == testimage.Zstd {
			d["annotations"] = map[string]string{"io.github.containers.compression.zstd": "true"}
		}
		manifests = append(manifests, d)
	}
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOfAnIndexTheLocksManifestIsTakenAndNothingElse(t *testing.T) {
	all := variants(t)
	raw := indexOf(t, all)
	var mu sync.Mutex
	var asked []string
	serve := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = append(asked, path.Base(r.URL.Path))
			mu.Unlock()
			if strings.HasSuffix(r.URL.Path, "/manifests/"+testimage.Digest(raw)) {
				w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
				_, _ = w.Write(raw)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	var images []*testimage.Image
	for _, v := range all {
		images = append(images, v.image)
	}
	server := testimage.NewRegistry(t, serve, images...)
	for _, v := range all {
		t.Run(v.arch+" "+path.Ext(v.media), func(t *testing.T) {
			mu.Lock()
			asked = nil
			mu.Unlock()
			p := newPuller(t)
			w := want(v.image)
			w.Index = testimage.Digest(raw)
			if err := p.Pull(soon(t), []pull.Want{w}, []string{server.URL}, nil); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(p.Store.Root(w.Manifest), "usr/bin/etcd"))
			if err != nil || !bytes.Equal(got, v.content) {
				t.Errorf("the file is another one (%v)", err)
			}
			own := map[string]bool{w.Index: true, w.Manifest: true, v.image.Platform().Config: true, v.image.Platform().Layers[0].Digest: true}
			mu.Lock()
			defer mu.Unlock()
			index := false
			for _, name := range asked {
				index = index || name == w.Index
				if strings.HasPrefix(name, "sha256:") && !own[name] {
					t.Errorf("%s was fetched, which is of another manifest", name)
				}
			}
			if !index {
				t.Errorf("the index was not asked for: %v", asked)
			}
		})
	}
}

func TestAnIndexWithoutTheLocksManifestIsRefused(t *testing.T) {
	all := variants(t)
	ours := all[1].image // amd64, zstd
	without := indexOf(t, append(all[:1:1], all[2:]...))
	server := testimage.NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/manifests/"+testimage.Digest(without)) {
				_, _ = w.Write(without)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, ours)
	p := newPuller(t)
	w := want(ours)
	w.Index = testimage.Digest(without)
	err := p.Pull(soon(t), []pull.Want{w}, []string{server.URL}, nil)
	if !fault.IsTerminal(err) || !strings.Contains(err.Error(), "manifest "+w.Manifest+" of the signed lock is not in it") {
		t.Errorf("got %v", err)
	}
	if left := leftovers(t, p.Store); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
