package layout_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
)

// entry is one entry of an archive that is made for a test.
type entry struct {
	name, content string
	kind          byte
	link          string
}

const marker = `{"imageLayoutVersion":"1.0.0"}`

// whole is an archive that is right; hex names its blob.
var hex = strings.TrimPrefix(layout.Digest([]byte("a blob")), "sha256:")

func whole() []entry {
	return []entry{
		{name: "oci-layout", content: marker}, {name: "index.json", content: `{"schemaVersion":2,"manifests":[]}`},
		{name: "blobs/", kind: tar.TypeDir}, {name: "blobs/sha256/", kind: tar.TypeDir}, {name: "blobs/sha256/" + hex, content: "a blob"},
	}
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: e.kind, Linkname: e.link}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, data []byte) (*layout.Layout, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "archive.tar")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Open(name)
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

func TestAnArchiveIsReadWhereItLies(t *testing.T) {
	entries := append(whole(), entry{name: "manifest.json", content: "[]"}, entry{name: "blobs/sha512/", kind: tar.TypeDir})
	l, err := open(t, archive(t, entries...))
	if err != nil {
		t.Fatal(err)
	}
	data, err := l.ReadBlob("sha256:" + hex)
	if err != nil || string(data) != "a blob" {
		t.Errorf("%q, %v", data, err)
	}
	if got := l.Digests(); !slices.Equal(got, []string{"sha256:" + hex}) {
		t.Errorf("blobs %v", got)
	}
	if got := l.Strays(); !slices.Equal(got, []string{"blobs/sha512/", "manifest.json"}) {
		t.Errorf("strays %v", got)
	}
	if _, err := l.Blob(layout.Digest(nil)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that is not there: %v", err)
	}
	if _, err := l.Blob("sha256:../../etc/passwd"); err == nil {
		t.Error("a path was taken for a digest")
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	with := func(more ...entry) []byte { return archive(t, append(whole(), more...)...) }
	good := with()
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"path escape":              {with(entry{name: "../../etc/cron.d/x", content: "x"}), `"../../etc/cron.d/x": not a clean relative path`},
		"absolute path":            {with(entry{name: "/etc/passwd", content: "x"}), `"/etc/passwd": not a clean relative path`},
		"path within":              {with(entry{name: "blobs/sha256/../../index.json", content: "x"}), "not a clean relative path"},
		"symbolic link":            {with(entry{name: "blobs/sha256/" + strings.Repeat("a", 64), kind: tar.TypeSymlink, link: "/etc/shadow"}), "is refused"},
		"hard link":                {with(entry{name: "x", kind: tar.TypeLink, link: "index.json"}), "is refused"},
		"device":                   {with(entry{name: "x", kind: tar.TypeChar}), "is refused"},
		"index twice":              {with(entry{name: "index.json", content: "{}"}), `"index.json" comes twice`},
		"index twice, in disguise": {with(entry{name: "./index.json", content: "{}"}), `"index.json" comes twice`},
		"blob twice":               {with(entry{name: "blobs/sha256/" + hex, content: "another"}), "comes twice"},
		"control character":        {with(entry{name: "a\nb", content: "x"}), "not a clean relative path"},
		"no end":                   {good[:len(good)-1024], "cut off: its end mark is missing"},
		"cut in a header":          {good[:len(good)-1024-700], "not a whole tar archive"},
		"bytes after the end":      {append(slices.Clone(good), bytes.Repeat([]byte("x"), 512)...), "other than zero follow"},
		"empty":                    {nil, "cut off"},
		"no archive":               {bytes.Repeat([]byte("no archive\n"), 200), "not a whole tar archive"},
		"no marker":                {archive(t, whole()[1:]...), "no oci-layout"},
		"another version":          {archive(t, append([]entry{{name: "oci-layout", content: `{"imageLayoutVersion":"9"}`}}, whole()[1:]...)...), `imageLayoutVersion is "9"`},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := open(t, c.data); err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsTerminal(err) {
				t.Errorf("got %v (terminal %v), want %q", err, fault.IsTerminal(err), c.want)
			}
		})
	}
}

func TestAnArchiveCutAnywhereIsRefused(t *testing.T) {
	good := archive(t, whole()...)
	for n := 0; n < len(good); n += 64 {
		if _, err := open(t, good[:n]); err == nil {
			t.Errorf("accepted with %d bytes of %d", n, len(good))
		}
	}
}

func TestLinksInADirectoryAreNotFollowed(t *testing.T) {
	f := layouttest.New(t)
	index := filepath.Join(f.Dir, "index.json")
	if err := os.Rename(index, index+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("index.json.real", index); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Index(); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v", err)
	}
}

func TestAWrongBlobIsSaidWithBothDigests(t *testing.T) {
	f := layouttest.New(t)
	digest := f.Lock.Images[0].Index
	f.Flip(t, digest)
	l, err := layout.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wrong *layout.DigestError
	if _, err := l.ReadBlob(digest); !errors.As(err, &wrong) || wrong.Expected != digest || wrong.Found == digest {
		t.Errorf("got %v", err)
	}
}
