package pull_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/imagebuild/lock"
)

func want(image *testimage.Image) pull.Want {
	return pull.Want{
		Name: image.Locked.Name, Repository: image.Locked.Repository, Manifest: image.Platform().Manifest,
		Locked: image.Platform(), Root: true,
	}
}

func newPuller(t *testing.T) *pull.Puller {
	return &pull.Puller{Store: &pull.Store{Dir: filepath.Join(t.TempDir(), "images")}, Client: pull.NewClient()}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func leftovers(t *testing.T, store *pull.Store) []string {
	t.Helper()
	entries, err := os.ReadDir(store.Dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestImagesOfEveryCompressionArriveWhole(t *testing.T) {
	for _, media := range []string{testimage.Zstd, testimage.Gzip, testimage.Tar} {
		t.Run(media, func(t *testing.T) {
			content := testimage.Content(media, 3<<20)
			image := testimage.New(t, "one", media,
				[]testimage.File{{Path: "usr/bin/one", Content: content}},
				[]testimage.File{{Path: "usr/lib/cni/two", Content: []byte("two")}})
			server := testimage.NewRegistry(t, nil, image)
			puller := newPuller(t)
			var got atomic.Int64
			if err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, func(n int64) { got.Add(n) }); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(filepath.Join(puller.Store.Root(image.Platform().Manifest), "usr/bin/one"))
			if err != nil || !bytes.Equal(raw, content) {
				t.Fatalf("file differs (%v)", err)
			}
			info, err := os.Stat(filepath.Join(puller.Store.Root(image.Platform().Manifest), "usr/bin/one"))
			if err != nil || info.Mode().Perm() != 0o555 {
				t.Errorf("mode %v, %v; want 0555", info.Mode(), err)
			}
			if got.Load() != image.Platform().Bytes() {
				t.Errorf("progress counted %d bytes, want %d", got.Load(), image.Platform().Bytes())
			}
			if missing := puller.Missing([]pull.Want{want(image)}); len(missing) != 0 {
				t.Errorf("still missing: %v", missing)
			}
		})
	}
}

func TestAnImageForPodsKeepsItsLayout(t *testing.T) {
	image := testimage.New(t, "pause", testimage.Zstd, []testimage.File{{Path: "pause", Content: []byte("pause")}})
	server := testimage.NewRegistry(t, nil, image)
	puller := newPuller(t)
	w := want(image)
	w.Root, w.Layout = false, true
	if err := puller.Pull(soon(t), []pull.Want{w}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	layout := puller.Store.Layout(w.Manifest)
	for digest, blob := range image.Blobs {
		raw, err := os.ReadFile(filepath.Join(layout, "blobs/sha256", strings.TrimPrefix(digest, "sha256:")))
		if err != nil || !bytes.Equal(raw, blob) {
			t.Errorf("blob %s: %v", digest, err)
		}
	}
	if _, err := os.Stat(puller.Store.Root(w.Manifest)); !os.IsNotExist(err) {
		t.Errorf("an image for pods was unpacked: %v", err)
	}
	w.Root = true
	if len(puller.Missing([]pull.Want{w})) != 1 {
		t.Error("an image without its files counts as stored")
	}
}

// tamper flips a bit in the middle of the body of every answer whose path holds part.
func tamper(part string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, part) {
				next.ServeHTTP(w, r)
				return
			}
			rec := &recorder{header: w.Header()}
			next.ServeHTTP(rec, r)
			raw := rec.body.Bytes()
			if len(raw) > 0 {
				raw[len(raw)/2] ^= 1
			}
			w.WriteHeader(rec.code)
			_, _ = w.Write(raw)
		})
	}
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
	code   int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(code int)        { r.code = code }

func TestWrongBytesAreRefusedAndLeaveNothing(t *testing.T) {
	for _, media := range []string{testimage.Zstd, testimage.Gzip, testimage.Tar} {
		image := testimage.New(t, "etcd", media, []testimage.File{{Path: "usr/bin/etcd", Content: testimage.Content("etcd", 1<<20)}})
		for name, digest := range map[string]string{
			"manifest":      image.Platform().Manifest,
			"configuration": image.Platform().Config,
			"layer":         image.Platform().Layers[0].Digest,
		} {
			t.Run(name+" "+media, func(t *testing.T) {
				server := testimage.NewRegistry(t, tamper(digest), image)
				puller := newPuller(t)
				err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil)
				if !fault.IsTerminal(err) {
					t.Fatalf("error %v, want a terminal one", err)
				}
				for _, part := range []string{"etcd", "expected digest " + digest, "found sha256:"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("error %q does not say %q", err, part)
					}
				}
				if names := leftovers(t, puller.Store); len(names) != 0 {
					t.Errorf("left over: %v", names)
				}
			})
		}
	}
}

func TestAGoodRegistryMakesUpForABadOne(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: testimage.Content("etcd", 1<<20)}})
	bad := testimage.NewRegistry(t, tamper(image.Platform().Layers[0].Digest), image)
	gone := testimage.NewRegistry(t, nil)
	good := testimage.NewRegistry(t, nil, image)
	puller := newPuller(t)
	if err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{gone.URL, bad.URL, good.URL}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestALockThatDiffersIsRefused(t *testing.T) {
	base := func() *testimage.Image {
		return testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: testimage.Content("etcd", 1<<16)}})
	}
	server := testimage.NewRegistry(t, nil, base())
	zeros := "sha256:" + strings.Repeat("0", 64)
	for name, change := range map[string]func(*lock.Platform){
		"diff ID":      func(p *lock.Platform) { p.Layers[0].DiffID = zeros },
		"config":       func(p *lock.Platform) { p.Config = zeros },
		"layer size":   func(p *lock.Platform) { p.Layers[0].Size++ },
		"file sum":     func(p *lock.Platform) { p.Files[0].SHA256 = zeros[7:] },
		"file size":    func(p *lock.Platform) { p.Files[0].Size-- },
		"file name":    func(p *lock.Platform) { p.Files[0].Path = "usr/bin/other" },
		"missing file": func(p *lock.Platform) { p.Files = append(p.Files, lock.Binary{Path: "x", SHA256: zeros[7:], Size: 1}) },
		"layers":       func(p *lock.Platform) { p.Layers = append(p.Layers, p.Layers[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			image := base()
			change(image.Platform())
			puller := newPuller(t)
			err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil)
			if !fault.IsTerminal(err) {
				t.Fatalf("error %v, want a terminal one", err)
			}
			if names := leftovers(t, puller.Store); len(names) != 0 {
				t.Errorf("left over: %v", names)
			}
		})
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	content := []byte("content")
	good := tar.Header{Name: "usr/bin/x", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
	for name, headers := range map[string][]tar.Header{
		"absolute path":     {{Name: "/etc/passwd", Typeflag: tar.TypeReg}},
		"path that escapes": {{Name: "../../etc/passwd", Typeflag: tar.TypeReg}},
		"hidden escape":     {{Name: "usr/../../x", Typeflag: tar.TypeReg}},
		"symbolic link":     {{Name: "usr/bin/x", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}},
		"hard link":         {{Name: "usr/bin/x", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}},
		"device":            {{Name: "usr/bin/x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"fifo":              {{Name: "usr/bin/x", Typeflag: tar.TypeFifo}},
		"twice":             {good, good},
		"not in the lock":   {good, {Name: "usr/bin/y", Size: int64(len(content)), Typeflag: tar.TypeReg}},
		"wrong size":        {{Name: "usr/bin/x", Size: 1, Typeflag: tar.TypeReg}},
		"name is a folder":  {{Name: "usr/bin/x/", Typeflag: tar.TypeDir}, good},
		"link above":        {{Name: "usr/bin", Linkname: "/etc", Typeflag: tar.TypeSymlink}, good},
		"global header":     {{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "../x"}}, good},
		"long name":         {{Name: strings.Repeat("d/", 300) + "x", Typeflag: tar.TypeReg}},
		"control character": {{Name: "usr/bin/\x1b[2J", Typeflag: tar.TypeReg}},
		"no name":           {{Name: "", Typeflag: tar.TypeReg}},
		"dots":              {{Name: "..", Typeflag: tar.TypeDir}},
		"file with slash":   {{Name: "usr/./bin/x", Size: good.Size, Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			var stream bytes.Buffer
			w := tar.NewWriter(&stream)
			for _, header := range headers {
				if err := w.WriteHeader(&header); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content[:header.Size]); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			refuse(t, stream.Bytes(), content)
		})
	}
	for name, size := range map[string]int64{"larger than it is": 1 << 40, "a little larger": 8, "smaller": 6} {
		t.Run("size "+name, func(t *testing.T) {
			var stream bytes.Buffer
			lies := good
			lies.Size = size
			if err := tar.NewWriter(&stream).WriteHeader(&lies); err != nil {
				t.Fatal(err)
			}
			stream.Write(content)
			stream.Write(make([]byte, 1024+512-len(content)))
			refuse(t, stream.Bytes(), content)
		})
	}
	t.Run("cut off in the file", func(t *testing.T) {
		var stream bytes.Buffer
		if err := tar.NewWriter(&stream).WriteHeader(&good); err != nil {
			t.Fatal(err)
		}
		stream.Write(content[:3])
		refuse(t, stream.Bytes(), content)
	})
	t.Run("bomb of headers", func(t *testing.T) {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		for i := range 20000 {
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/", i), Typeflag: tar.TypeDir}); err != nil {
				t.Fatal(err)
			}
		}
		refuse(t, stream.Bytes(), content)
	})
	t.Run("bomb of zeros after the end", func(t *testing.T) {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		_ = w.WriteHeader(&good)
		_, _ = w.Write(content)
		_ = w.Close()
		refuse(t, append(stream.Bytes(), make([]byte, 64<<20)...), content)
	})
	t.Run("not an archive", func(t *testing.T) { refuse(t, testimage.Content("noise", 4096), content) })
}

func refuse(t *testing.T, stream, content []byte) {
	t.Helper()
	image := testimage.FromTars(t, "hostile", testimage.Zstd, [][]byte{stream}, []lock.Binary{
		{Path: "usr/bin/x", SHA256: testimage.Digest(content)[7:], Size: int64(len(content))},
	})
	server := testimage.NewRegistry(t, nil, image)
	puller := newPuller(t)
	err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil)
	if !fault.IsTerminal(err) {
		t.Fatalf("error %v, want a terminal one", err)
	}
	if names := leftovers(t, puller.Store); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
}

func TestABrokenConnectionIsResumedByRange(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Tar, []testimage.File{{Path: "usr/bin/etcd", Content: testimage.Content("etcd", 4<<20)}})
	layer := image.Platform().Layers[0].Digest
	var calls, ranges, served atomic.Int64
	server := testimage.NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, layer) {
				next.ServeHTTP(w, r)
				return
			}
			from := int64(0)
			if header := r.Header.Get("Range"); header != "" {
				ranges.Add(1)
				from, _ = strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(header, "bytes="), "-"), 10, 64)
			}
			blob := image.Blobs[layer][from:]
			w.Header().Set("Content-Length", strconv.Itoa(len(blob)))
			if from > 0 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(blob)-1, len(image.Blobs[layer])))
				w.WriteHeader(http.StatusPartialContent)
			}
			if calls.Add(1) <= 3 {
				n, _ := w.Write(blob[:1<<20])
				served.Add(int64(n))
				panic(http.ErrAbortHandler) // the connection breaks
			}
			n, _ := w.Write(blob)
			served.Add(int64(n))
		})
	}, image)
	server.Config.ErrorLog = nil
	puller := newPuller(t)
	if err := puller.Pull(soon(t), []pull.Want{want(image)}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	if ranges.Load() == 0 {
		t.Error("nothing was resumed")
	}
	if whole := int64(len(image.Blobs[layer])); served.Load() > 2*whole {
		t.Errorf("%d bytes served for a blob of %d: resuming began anew", served.Load(), whole)
	}
}

func TestAnUnreachableRegistryIsARetriableFault(t *testing.T) {
	image := testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: []byte("etcd")}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	puller := newPuller(t)
	err := puller.Pull(ctx, []pull.Want{want(image)}, []string{"http://127.0.0.1:1"}, nil)
	if fault.KindOf(err) != fault.Retriable {
		t.Fatalf("error %v is of kind %v, want a retriable one", err, fault.KindOf(err))
	}
	if names := leftovers(t, puller.Store); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
}

func TestSweepAndCollect(t *testing.T) {
	first := testimage.New(t, "a", testimage.Zstd, []testimage.File{{Path: "a", Content: []byte("a")}})
	second := testimage.New(t, "b", testimage.Zstd, []testimage.File{{Path: "b", Content: []byte("b")}})
	server := testimage.NewRegistry(t, nil, first, second)
	puller := newPuller(t)
	if err := puller.Pull(soon(t), []pull.Want{want(first), want(second)}, []string{server.URL}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(puller.Store.Dir, ".tmp-killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := puller.Store.Sweep(); err != nil {
		t.Fatal(err)
	}
	if err := puller.Store.Collect(map[string]bool{first.Platform().Manifest: true}); err != nil {
		t.Fatal(err)
	}
	if names := leftovers(t, puller.Store); len(names) != 1 || "sha256:"+names[0] != first.Platform().Manifest {
		t.Errorf("in the store: %v, want only %s", names, first.Platform().Manifest)
	}
}
