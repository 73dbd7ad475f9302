package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"slipway.build/slipway/controlplane/fault"
)

// ErrNotFound is returned, wrapped with what was looked for, when a row does not exist.
var ErrNotFound = errors.New("not found")

// ErrClosed is returned by transactions on a store that was closed.
var ErrClosed = errors.New("the store is closed")

// Options are what a store can be told; the zero value is right for production.
type Options struct {
	// Now is the clock for created and updated times; time.Now when nil.
	Now func() time.Time
	// BeforeCommit and AfterCommit run around every commit of the database, which may hold
	// several transactions of the store. An error kills the store as if the process had died
	// there: nothing is committed (or told) and every later transaction fails. For tests.
	BeforeCommit, AfterCommit func() error
}

// Store is the open database. Its read methods are Reader's; all writes go through Tx.
type Store struct {
	Reader
	write, read *sql.DB
	writer      *writer
	hub         *hub
	now         func() time.Time
}

// Reader holds the methods that only read. They see what is committed; inside a transaction,
// they also see its own writes.
type Reader struct {
	db bun.IDB
	d  dialect
}

// Open opens the store at location, a path of an SQLite database, which is made with mode 0600
// when it does not exist, and migrates its schema.
func Open(ctx context.Context, location string, o Options) (*Store, error) {
	if strings.Contains(location, "://") {
		return nil, fault.Terminalf("open store: %q is no file path; only SQLite is supported so far", location)
	}
	d := sqlite()
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(filepath.Dir(location), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	f, err := os.OpenFile(location, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	write, read, err := d.open(location)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, d, write); err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	s := &Store{
		Reader: Reader{db: bun.NewDB(read, d.bun()), d: d},
		write:  write, read: read,
		hub: newHub(),
		now: func() time.Time { return o.Now().UTC().Truncate(time.Microsecond) },
	}
	s.writer = startWriter(bun.NewDB(write, d.bun()), d, s.hub, s.now, o)
	return s, nil
}

// Tx runs fn in a transaction and returns once it is durable, or fn's error after undoing what
// fn did. fn must use the context it is given, which outlives a cancellation of ctx: a
// transaction that has begun ends. fn must not call Store.Tx, and should only read and write.
func (s *Store) Tx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return s.writer.do(ctx, fn)
}

// Close waits for the running transaction and closes the database. Transactions that have not
// begun fail with ErrClosed.
func (s *Store) Close() error {
	s.writer.close()
	return errors.Join(s.read.Close(), s.write.Close())
}

// notFound turns sql.ErrNoRows into ErrNotFound, naming what was looked for.
func notFound(err error, kind, key string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s %s: %w", kind, key, ErrNotFound)
	}
	return fmt.Errorf("read %s %s: %w", kind, key, err)
}
