package serve

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/conductor"
	"slipway.build/slipway/controlplane/pki"
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
	statements, err := readStatements(filepath.Join(state, "control", "lock", "keys"))
	if err != nil {
		return conductor.Trust{}, err
	}
	return conductor.Trust{
		Statements: statements,
		Locked:     locked, Canonical: canonical, Signature: signature, Digest: digest,
		Registries: []string{"http://" + registry},
	}, nil
}

// readStatements reads the statements of lock keys, <number>.json with its signature beside it, in
// their order; none is the usual case. Nodes judge their signatures.
func readStatements(dir string) ([]protocol.Signed, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	byNumber := map[int64]protocol.Signed{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a statement of lock keys: %w", err)
		}
		statement, err := lock.ParseKeys(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		signature, err := os.ReadFile(file + ".sig")
		if err != nil {
			return nil, fmt.Errorf("read the signature of a statement of lock keys: %w", err)
		}
		byNumber[statement.Number] = protocol.Signed{Bytes: raw, Signature: signature}
	}
	var out []protocol.Signed
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		out = append(out, byNumber[number])
	}
	return out, nil
}

// keyInterval is how often the plan key's age is looked at.
const keyInterval = time.Hour

// tendPlanKeys rotates the key that signs plans when its time has come, until ctx ends.
func tendPlanKeys(ctx context.Context, signer *pki.PlanSigner, life time.Duration, log *slog.Logger) {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	for {
		switch done, err := signer.Tend(ctx, life); {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "the plan signing key was not tended", "error", err)
		case done != "":
			log.InfoContext(ctx, "plan signing keys", "done", done)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
