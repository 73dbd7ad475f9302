// Package database opens the small databases in which parts of the agent remember: one file each,
// one process at a time, every commit durable.
package database

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"slipway.build/slipway/agent/durable"
)

// lockTimeout bounds the wait for another process' lock on the file.
const lockTimeout = 5 * time.Second

// Open opens the database <name>.db in dir with these buckets, and makes what is not there: the
// directory 0700, the file 0600.
func Open(dir, name string, buckets ...string) (*bbolt.DB, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the %s: %w", name, err)
	}
	path := filepath.Join(dir, name+".db")
	// A database that a power loss left without its first pages could never be opened again, and one
	// that it left without its name would have forgotten all that was committed to it.
	err := durable.Create(path, func(temp string) error {
		db, err := open(temp, name, buckets)
		if err != nil {
			return err
		}
		return db.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("make the %s: %w", name, err)
	}
	return open(path, name, buckets)
}

func open(path, name string, buckets []string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open the %s %s: another slipway-agent holds it", name, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the %s %s: %w", name, path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(bucket)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the %s %s: %w", name, path, err), db.Close())
	}
	return db, nil
}
