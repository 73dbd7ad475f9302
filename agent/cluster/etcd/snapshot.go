package etcd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// spare is what must stay free on the disk beside a snapshot.
const spare = 64 << 20

// Snapshot streams the store of this node's member to dir/<task>-<generation>.db, in the form of
// `etcdctl snapshot save`: the store and then its sha256. The file gets its name once the sum
// holds and everything is on disk; a file of that name whose sum holds is what an earlier run
// made. Of the task's files the newest keep stay.
func (c *Client) Snapshot(ctx context.Context, want plan.Snapshot, task string, generation uint64) (map[string]string, error) {
	name := fmt.Sprintf("%s-%010d.db", task, generation)
	path := filepath.Join(want.Dir, name)
	var made *sums
	err := retry(ctx, func(ctx context.Context) error {
		if err := os.MkdirAll(want.Dir, 0o700); err != nil {
			return fault.Retriablef("%w", err)
		}
		if err := sweep(want.Dir, task); err != nil {
			return err
		}
		var err error
		if made, err = check(path); err == nil {
			return nil
		}
		if err := c.room(ctx, want.Dir); err != nil {
			return err
		}
		made, err = c.save(ctx, filepath.Join(want.Dir, "."+name+partial), path)
		return err
	})
	if err == nil {
		err = rotate(want.Dir, task, want.Keep)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot of etcd to %s: %w", path, err)
	}
	return map[string]string{"path": path, "sha256": made.file, "size": strconv.FormatInt(made.size, 10)}, nil
}

const partial = ".partial"

// room refuses a snapshot that would fill the disk, before its first byte.
func (c *Client) room(ctx context.Context, dir string) error {
	var s answerOfStatus
	if err := c.call(ctx, c.endpoint, statusPath, struct{}{}, &s); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fault.Retriablef("free space of %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < s.Size+spare {
		return fault.Retriablef("the store has %d MiB, and of %d MiB free in %s %d MiB must stay", s.Size>>20, free>>20, dir, spare>>20)
	}
	return nil
}

// save streams into a file of its own and renames it.
func (c *Client) save(ctx context.Context, temporary, path string) (*sums, error) {
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Retriablef("%w", err)
	}
	made, err := c.stream(ctx, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(temporary))
	}
	return made, syncDir(filepath.Dir(path))
}

// sums are what is known of a snapshot file whose own sum holds.
type sums struct {
	file string // sha256 of all of it, in hexadecimal
	size int64
}

// summer hashes a snapshot as it goes by: all of it, and all but its last 32 bytes, which are the
// sum of what is before them.
type summer struct {
	all, store interface {
		io.Writer
		Sum([]byte) []byte
	}
	tail []byte
	size int64
}

func newSummer() *summer { return &summer{all: sha256.New(), store: sha256.New()} }

// Write implements io.Writer.
func (s *summer) Write(p []byte) (int, error) {
	_, _ = s.all.Write(p) // a hash does not fail
	s.size += int64(len(p))
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - sha256.Size; over > 0 {
		_, _ = s.store.Write(s.tail[:over])
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	return len(p), nil
}

// page is the smallest unit of a store's size (etcdutl tells a sum at the end by it).
const page = 512

func (s *summer) verdict() (*sums, error) {
	switch {
	case s.size <= sha256.Size || s.size%page != sha256.Size:
		return nil, fault.Retriablef("it has %d bytes, which is no store with its sum", s.size)
	case string(s.store.Sum(nil)) != string(s.tail):
		return nil, fault.Retriablef("its sha256 is %x, and %x is what etcd says", s.store.Sum(nil), s.tail)
	}
	return &sums{file: hex.EncodeToString(s.all.Sum(nil)), size: s.size}, nil
}

// check reads a snapshot file and compares it with its own sum.
func check(path string) (*sums, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	s := newSummer()
	if _, err := io.Copy(s, file); err != nil {
		return nil, err
	}
	return s.verdict()
}

// pattern matches the names of a task's snapshots and nothing else.
func pattern(task string) *regexp.Regexp {
	return regexp.MustCompile(`^` + regexp.QuoteMeta(task) + `-[0-9]{10,20}\.db$`)
}

// sweep removes what killed runs of the task left.
func sweep(dir, task string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Retriablef("%w", err)
	}
	own := pattern(task)
	for _, entry := range entries {
		name, cut := strings.CutSuffix(strings.TrimPrefix(entry.Name(), "."), partial)
		if cut && strings.HasPrefix(entry.Name(), ".") && own.MatchString(name) {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return fault.Retriablef("remove what an earlier run left: %w", err)
			}
		}
	}
	return nil
}

// rotate removes all of the task's snapshots but the newest, by generation.
func rotate(dir, task string, keep int) error {
	entries, err := os.ReadDir(dir) // sorted by name, and so by generation
	if err != nil {
		return fault.Retriablef("%w", err)
	}
	own := pattern(task)
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !own.MatchString(e.Name()) })
	for len(entries) > keep {
		if err := os.Remove(filepath.Join(dir, entries[0].Name())); err != nil {
			return fault.Retriablef("remove an old snapshot: %w", err)
		}
		entries = entries[1:]
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
