package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// Learner takes statements of plan keys; join.Identity is one.
type Learner interface {
	LearnPlanKeys(ctx context.Context, statements [][]byte) error
}

// LockKeysFile is where the newest statement of lock keys is, below the agent's state directory.
const LockKeysFile = "trust/lock-keys.json"

// maxStatements bounds the statements of keys in a delivery.
const maxStatements = 256

// Learn takes the statements of keys that a delivery brings, durably, before the delivery itself is
// judged by them. What is known already is left out. A statement that no trusted key has signed is
// a terminal error, and what came before it in the delivery stays learnt.
func (v *Verifier) Learn(ctx context.Context, plans Learner, delivery protocol.Delivery) error {
	if len(delivery.PlanKeys) > maxStatements || len(delivery.LockKeys) > maxStatements {
		return fault.Terminalf("statements of keys: more than the limit of %d", maxStatements)
	}
	if err := plans.LearnPlanKeys(ctx, delivery.PlanKeys); err != nil {
		return err
	}
	for _, signed := range delivery.LockKeys {
		if err := v.learnLockKeys(signed); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) learnLockKeys(signed protocol.Signed) error {
	claimed, err := lock.ParseKeys(signed.Bytes)
	if err != nil {
		return err
	}
	known, err := v.statement()
	if err != nil {
		return err
	}
	if known != nil && claimed.Number <= known.Number {
		return nil
	}
	trusted, err := v.lockTrust()
	if err != nil {
		return err
	}
	if _, err := trusted.Next(signed.Bytes, signed.Signature); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(v.LockKeys), 0o700); err != nil {
		return fmt.Errorf("keep lock keys %d: %w", claimed.Number, err)
	}
	if err := durable.WriteFile(v.LockKeys, signed.Bytes, 0o600); err != nil {
		return fmt.Errorf("keep lock keys %d: %w", claimed.Number, err)
	}
	return nil
}

// Sweep removes what an interrupted Learn left half written.
func (v *Verifier) Sweep() error {
	if v.LockKeys == "" {
		return nil
	}
	return durable.Sweep(filepath.Dir(v.LockKeys))
}

// statement returns the statement of lock keys in force, nil when there is none. It was verified
// when it was accepted; nobody but root can write where it is kept.
func (v *Verifier) statement() (*lock.KeyStatement, error) {
	if v.LockKeys == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(v.LockKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the statement of lock keys: %w", err)
	}
	return lock.ParseKeys(raw)
}

// lockTrust returns which keys count for which locks on this node.
func (v *Verifier) lockTrust() (*lock.Trust, error) {
	baked, err := v.bakedKeys()
	if err != nil {
		return nil, err
	}
	statement, err := v.statement()
	if err != nil {
		return nil, err
	}
	return lock.NewTrust(baked, statement)
}

func (v *Verifier) bakedKeys() ([]byte, error) {
	entries, err := os.ReadDir(v.TrustDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the trusted lock keys: %w", err)
	}
	var keys []byte
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pub" {
			continue
		}
		key, err := os.ReadFile(filepath.Join(v.TrustDir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the trusted lock keys: %w", err)
		}
		keys = append(append(keys, key...), '\n')
	}
	if len(keys) == 0 {
		return nil, fault.Terminalf("no trusted lock key in %s: the OS layer has none, so no image may run", v.TrustDir)
	}
	return keys, nil
}
