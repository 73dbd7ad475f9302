package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// ErrNotFound is what Get returns for an object that is not there.
var ErrNotFound = errors.New("no such object")

const suffix = ".json"

// namespace is the UUID below which ID makes its identifiers.
var namespace = uuid.MustParse("0f6f3c1e-8a5b-4d3e-9b60-51a9c2f0d7e4")

// ID returns the id of the object of a kind that belongs to a request's key: always the same
// UUID for the same key, evenly spread in all its digits, so that its first eight may name links
// and namespaces.
func ID(kind, key string) string {
	return uuid.NewSHA1(namespace, []byte(kind+"\x00"+key)).String()
}

// Short returns the first eight hexadecimal digits of an id, for names that the kernel
// limits to 15 bytes.
func Short(id string) string {
	if len(id) < 8 {
		return id
	}
	return id[:8]
}

// Store is a directory of objects. It is safe for concurrent use, by several processes too.
type Store struct {
	dir   string
	queue chan struct{} // one writer of this process at a time; the others wait here, not in flock
}

// Open returns the store in that directory and makes the directory when it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open object store %s: %w", dir, err)
	}
	return &Store{dir: dir, queue: make(chan struct{}, 1)}, nil
}

// Dir returns the directory of the store.
func (s *Store) Dir() string { return s.dir }

// Reader is what Get and List read from: a Store, or a Tx with its own changes on top.
type Reader interface {
	read(kind, id string) ([]byte, error)
	list(kind string) ([]string, error)
}

// Get returns the object of that kind and id, or an error that errors.Is(err, ErrNotFound).
func Get[T any](r Reader, kind, id string) (T, error) {
	var v T
	data, err := r.read(kind, id)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("read %s %s: %w", kind, id, err)
	}
	return v, nil
}

// List returns all objects of a kind, ordered by id.
func List[T any](r Reader, kind string) ([]T, error) {
	ids, err := r.list(kind)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		v, err := Get[T](r, kind, id)
		if errors.Is(err, ErrNotFound) {
			continue // deleted since the directory was read
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Update runs fn while no other Update of this directory runs, in any process, and then makes
// its changes durable in the order in which they were made. Each change is atomic by itself;
// a crash among several leaves the first ones. When fn fails, nothing is changed.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	select {
	case s.queue <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.queue }()
	lock, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock object store: %w", err)
	}
	defer lock.Close()
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock object store %s: %w", s.dir, err)
	}
	tx := &Tx{store: s, staged: map[object][]byte{}}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.commit()
}

func (s *Store) path(kind, id string) string { return filepath.Join(s.dir, kind, id+suffix) }

func (s *Store) read(kind, id string) ([]byte, error) {
	if err := checkName(kind, id); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.path(kind, id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %s: %w", kind, id, ErrNotFound)
	}
	return data, err
}

func (s *Store) list(kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasPrefix(id, ".") {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids, nil
}

// checkName keeps ids that come from templates from being paths.
func checkName(kind, id string) error {
	for _, s := range []string{kind, id} {
		if s == "" || s[0] == '.' || strings.ContainsAny(s, "/\x00") {
			return fmt.Errorf("%s %q: %w", kind, id, ErrNotFound)
		}
	}
	return nil
}

type object struct{ kind, id string }

// Tx is one running Update. It reads its own changes.
type Tx struct {
	store  *Store
	staged map[object][]byte // nil: deleted
	order  []object
}

// Put makes v the object of that kind and id when the Update ends.
func (tx *Tx) Put(kind, id string, v any) error {
	if err := checkName(kind, id); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write %s %s: %w", kind, id, err)
	}
	tx.stage(object{kind, id}, append(data, '\n'))
	return nil
}

// Delete removes the object of that kind and id when the Update ends; one that is not there
// is no error.
func (tx *Tx) Delete(kind, id string) error {
	if err := checkName(kind, id); err != nil {
		return err
	}
	tx.stage(object{kind, id}, nil)
	return nil
}

func (tx *Tx) stage(o object, data []byte) {
	if _, known := tx.staged[o]; !known {
		tx.order = append(tx.order, o)
	}
	tx.staged[o] = data
}

func (tx *Tx) read(kind, id string) ([]byte, error) {
	if data, ok := tx.staged[object{kind, id}]; ok {
		if data == nil {
			return nil, fmt.Errorf("%s %s: %w", kind, id, ErrNotFound)
		}
		return data, nil
	}
	return tx.store.read(kind, id)
}

func (tx *Tx) list(kind string) ([]string, error) {
	ids, err := tx.store.list(kind)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
	}
	for o, data := range tx.staged {
		if o.kind == kind && data != nil && !known[o.id] {
			ids = append(ids, o.id)
		}
	}
	sort.Strings(ids)
	return ids, nil
}

func (tx *Tx) commit() error {
	for _, o := range tx.order {
		if err := tx.apply(o, tx.staged[o]); err != nil {
			return fmt.Errorf("store %s %s: %w", o.kind, o.id, err)
		}
	}
	return nil
}

func (tx *Tx) apply(o object, data []byte) error {
	path := tx.store.path(o.kind, o.id)
	dir := filepath.Dir(path)
	if data == nil {
		if err := os.Remove(path); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		}
		return syncDir(dir)
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := syncDir(tx.store.dir); err != nil {
			return err
		}
	}
	if err := tx.store.replace(path, data); err != nil {
		return err
	}
	return syncDir(dir)
}

// replace makes data the content of a file in one step. All writers hold the store's lock, so one
// temporary name serves them all, and what a killed one left is overwritten by the next.
func (s *Store) replace(path string, data []byte) error {
	next := filepath.Join(s.dir, ".next")
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = cmp.Or(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(next, path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
