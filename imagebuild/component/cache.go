package component

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// DefaultCache is where results of slow builds are kept, unless SLIPWAY_CACHE names another
// directory.
const DefaultCache = "/var/cache/slipway"

// CacheDir returns the directory of slow builds' results.
func CacheDir() string {
	if dir := os.Getenv("SLIPWAY_CACHE"); dir != "" {
		return dir
	}
	return DefaultCache
}

// entry is one cache entry: a directory named by the key of its inputs, which holds the
// binaries (root/), the blobs (blobs/sha256/) and entry.json, written last. It is made under
// another name and renamed when complete, so an entry that is there is whole, unless
// somebody changed it; intact checks that.
type entry struct {
	dir string
}

func (c cache) entry(key string) entry { return entry{filepath.Join(c.dir, key)} }

func (e entry) root() string { return filepath.Join(e.dir, "root") }

func (e entry) blobs() string { return filepath.Join(e.dir, "blobs", "sha256") }

// cache is the directory of entries.
type cache struct{ dir string }

func openCache(dir string) (cache, error) {
	c := cache{filepath.Join(dir, "components")}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return c, fmt.Errorf("open the build cache: %w; set SLIPWAY_CACHE to a directory that can be written", err)
	}
	return c, nil
}

// lockPoll is how often a held lock of another process is tried again: flock has no other
// way to wait and still be cancelled.
const lockPoll = 200 * time.Millisecond

// lock takes the exclusive lock of a key across processes; waiting is called once if it is
// held. The lock ends with the returned function, or with the process.
func (c cache) lock(ctx context.Context, key string, waiting func()) (func(), error) {
	f, err := os.OpenFile(filepath.Join(c.dir, key+".lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the build cache: %w", err)
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for first := true; ; first = false {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock the build cache: %w", err)
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// load reads the entry and reports whether it is there and every blob is what its digest says.
func (e entry) load() (packed, bool) {
	var p packed
	b, err := os.ReadFile(filepath.Join(e.dir, "entry.json"))
	if err != nil || json.Unmarshal(b, &p) != nil || len(p.Platform.Layers) != 1 {
		return p, false
	}
	for _, d := range p.digests() {
		if !hasDigest(filepath.Join(e.blobs(), d[len("sha256:"):]), d) {
			return p, false
		}
	}
	return p, true
}

// digests are the blobs of the image, layers first.
func (p *packed) digests() []string {
	var all []string
	for _, l := range p.Platform.Layers {
		all = append(all, l.Digest)
	}
	return append(all, p.Platform.Config, p.Platform.Manifest, p.Index)
}

// programs reports whether every binary of the entry is the one that entry.json describes.
func (e entry) programs(p packed) bool {
	for _, f := range p.Platform.Files {
		if !hasDigest(filepath.Join(e.root(), filepath.FromSlash(f.Path)), "sha256:"+f.SHA256) {
			return false
		}
	}
	return len(p.Platform.Files) > 0
}

// store writes entry.json and gives the finished work directory its name.
func (e entry) store(p packed, as entry) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	_ = json.Indent(&pretty, b, "", "  ")
	if err := renameio.WriteFile(filepath.Join(e.dir, "entry.json"), pretty.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write cache entry: %w", err)
	}
	if err := os.RemoveAll(as.dir); err != nil { // a damaged entry
		return fmt.Errorf("replace cache entry: %w", err)
	}
	if err := os.Rename(e.dir, as.dir); err != nil {
		return fmt.Errorf("write cache entry: %w", err)
	}
	return nil
}

func hasDigest(file, digest string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false
	}
	return digest == "sha256:"+hex.EncodeToString(sum.Sum(nil))
}
