package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/conductor"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/imagebuild/lock"
)

// lockDir is where the signed lock is, and below it the statements of lock keys.
func lockDir(state string) string { return filepath.Join(state, "control", "lock") }

// readTrust reads the signed lock of the state directory and keeps it for the plans that name it.
// Its signature is not judged here: that is the nodes' affair, by the key in their OS layer.
func readTrust(ctx context.Context, s *store.Store, state, registry string) (conductor.Trust, error) {
	path := filepath.Join(lockDir(state), "images.yaml")
	signature, err := os.ReadFile(path + ".sig")
	if err != nil {
		return conductor.Trust{}, fmt.Errorf("read the lock's signature (`slipway up` makes both): %w", err)
	}
	locked, err := lock.Load(path)
	if err != nil {
		return conductor.Trust{}, err
	}
	canonical, err := locked.Canonical()
	if err != nil {
		return conductor.Trust{}, err
	}
	digest, err := locked.Digest()
	if err != nil {
		return conductor.Trust{}, err
	}
	if err := s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.KeepLock(ctx, &store.Lock{Digest: digest, Canonical: canonical, Signature: signature})
	}); err != nil {
		return conductor.Trust{}, err
	}
	return conductor.Trust{Locked: locked, Digest: digest, Registries: []string{"http://" + registry}}, nil
}
