package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/protocol"
)

// failedDir holds the delivery of the plan that failed last, as <number>.json, for people who want to
// know what it would have changed. Nothing that the agent does depends on it.
const failedDir = "failed"

func (s *Store) failedPath(number uint64) string {
	return filepath.Join(s.Root, failedDir, strconv.FormatUint(number, 10)+".json")
}

// KeepFailed keeps what a failed plan came with, in place of the one before.
func (s *Store) KeepFailed(number uint64, delivery protocol.Delivery) error {
	// Just what proves the plan: the keys' statements are known, and actions are none of its.
	raw, err := json.Marshal(protocol.Delivery{Envelope: delivery.Envelope, LockBytes: delivery.LockBytes, LockSignature: delivery.LockSignature})
	if err != nil {
		return fmt.Errorf("keep failed plan %d: %w", number, err)
	}
	path := s.failedPath(number)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep failed plan %d: %w", number, err)
	}
	if err := durable.WriteFile(path, raw, 0o400); err != nil {
		return fmt.Errorf("keep failed plan %d: %w", number, err)
	}
	return s.DropFailed(func(other uint64) bool { return other == number })
}

// Failed returns the number of the failed plan that is kept and what it came with; fs.ErrNotExist
// when there is none.
func (s *Store) Failed() (uint64, protocol.Delivery, error) {
	var delivery protocol.Delivery
	numbers, err := s.failed()
	if err != nil {
		return 0, delivery, err
	}
	if len(numbers) == 0 {
		return 0, delivery, fmt.Errorf("read the failed plan: %w", fs.ErrNotExist)
	}
	newest := numbers[0]
	for _, number := range numbers {
		newest = max(newest, number) // an interrupted KeepFailed leaves two
	}
	raw, err := os.ReadFile(s.failedPath(newest))
	if err == nil {
		err = json.Unmarshal(raw, &delivery)
	}
	if err != nil {
		return 0, delivery, fmt.Errorf("read failed plan %d: %w", newest, err)
	}
	return newest, delivery, nil
}

// DropFailed removes the failed plans that are not to be kept.
func (s *Store) DropFailed(keep func(number uint64) bool) error {
	numbers, err := s.failed()
	if err != nil {
		return err
	}
	for _, number := range numbers {
		if keep(number) {
			continue
		}
		if err := os.Remove(s.failedPath(number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop failed plan %d: %w", number, err)
		}
	}
	return nil
}

func (s *Store) failed() ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(s.Root, failedDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list failed plans: %w", err)
	}
	var out []uint64
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if number, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			out = append(out, number)
		}
	}
	return out, nil
}
