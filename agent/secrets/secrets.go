// Package secrets fetches the secret values that a plan names and keeps them outside the
// generations, each readable by its owner alone.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/plan"
)

// API is what is needed of the node API.
type API interface {
	Secret(ctx context.Context, name, version string) ([]byte, error)
}

// Keeper keeps the values in Dir as <name>@<version>, mode 0400.
type Keeper struct {
	Dir string
	API API
}

// File returns the file name of a secret.
func File(s plan.Secret) string { return s.Name + "@" + s.Version }

// Ensure fetches all values that are not there yet, in parallel. Retriable faults are retried
// until ctx ends.
func (k *Keeper) Ensure(ctx context.Context, wanted []plan.Secret) error {
	if len(wanted) == 0 {
		return nil
	}
	if err := durable.MkdirAll(k.Dir, 0o755); err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, secret := range wanted {
		path := filepath.Join(k.Dir, File(secret))
		group.Go(func() error {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				return err // nil: it is there, and a version never changes
			}
			value, err := k.fetch(ctx, secret)
			if err != nil {
				return fmt.Errorf("secret %s: %w", File(secret), err)
			}
			return durable.WriteOwned(path, value, 0o400, secret.Owner)
		})
	}
	return group.Wait()
}

func (k *Keeper) fetch(ctx context.Context, secret plan.Secret) ([]byte, error) {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 5 * time.Second}
	var value []byte
	err := waits.Retry(ctx, func(ctx context.Context) (err error) {
		value, err = k.API.Secret(ctx, secret.Name, secret.Version)
		return err
	})
	return value, err
}

// Collect removes the values whose file names are not in keep. What has no name of ours stays.
func (k *Keeper) Collect(keep map[string]bool) error {
	entries, err := os.ReadDir(k.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect secrets: %w", err)
	}
	for _, entry := range entries {
		if ours := entry.Type().IsRegular() && strings.Contains(entry.Name(), "@"); ours && !keep[entry.Name()] {
			if err := os.Remove(filepath.Join(k.Dir, entry.Name())); err != nil {
				return fmt.Errorf("collect secret %s: %w", entry.Name(), err)
			}
		}
	}
	return nil
}
