package serve

import (
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/controlplane/conductor"
	"slipway.build/slipway/imagebuild/lock"
)

// readTrust reads the signed lock of the state directory. Its signature is not judged here:
// that is the nodes' affair, by the key in their OS layer.
func readTrust(state, registry string) (conductor.Trust, error) {
	path := filepath.Join(state, "control", "lock", "images.yaml")
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
	return conductor.Trust{
		Locked: locked, Canonical: canonical, Signature: signature, Digest: digest,
		Registries: []string{"http://" + registry},
	}, nil
}
