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
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/run"
)

// Store is the directory that holds the generations and the link to the current one. Root is
// plan.Root on a node; units refer to it by that name.
type Store struct {
	Root   string
	Images *pull.Store
}

// Generation is one staged generation, read back from disk.
type Generation struct {
	Number uint64
	Plan   *plan.Plan
	Specs  map[string]run.Spec // by unit
}

// Current returns the path of the link to the current generation.
func (s *Store) Current() string { return filepath.Join(s.Root, "current") }

// Dir returns the directory of a generation.
func (s *Store) Dir(number uint64) string {
	return filepath.Join(s.Root, "generations", strconv.FormatUint(number, 10))
}

// CurrentNumber returns the current generation's number, 0 when there is none.
func (s *Store) CurrentNumber() (uint64, error) {
	target, err := os.Readlink(s.Current())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the current generation: %w", err)
	}
	number, err := strconv.ParseUint(filepath.Base(target), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the current generation: %s points to %q", s.Current(), target)
	}
	return number, nil
}

// Switch makes a staged generation the current one, durably, by one rename.
func (s *Store) Switch(number uint64) error {
	return durable.Symlink(filepath.Join("generations", strconv.FormatUint(number, 10)), s.Current())
}

// Load reads a staged generation.
func (s *Store) Load(number uint64) (*Generation, error) {
	dir := s.Dir(number)
	raw, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		return nil, fmt.Errorf("load generation %d: %w", number, err)
	}
	g := &Generation{Number: number, Specs: map[string]run.Spec{}}
	if g.Plan, err = plan.Parse(raw); err != nil {
		return nil, fmt.Errorf("load generation %d: %w", number, err)
	}
	for _, unit := range g.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		spec, err := run.ReadSpec(s.specPath(number, unit.Name))
		if err != nil {
			return nil, fmt.Errorf("load generation %d: %w", number, err)
		}
		g.Specs[unit.Name] = *spec
	}
	return g, nil
}

// Delivery reads what a generation was made from.
func (s *Store) Delivery(number uint64) (protocol.Delivery, error) {
	var delivery protocol.Delivery
	raw, err := os.ReadFile(filepath.Join(s.Dir(number), "delivery.json"))
	if err == nil {
		err = json.Unmarshal(raw, &delivery)
	}
	if err != nil {
		return delivery, fmt.Errorf("load the delivery of generation %d: %w", number, err)
	}
	return delivery, nil
}

// Numbers returns the numbers of all staged generations.
func (s *Store) Numbers() ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(s.Root, "generations"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the generations: %w", err)
	}
	var out []uint64
	for _, entry := range entries {
		if number, err := strconv.ParseUint(entry.Name(), 10, 64); err == nil {
			out = append(out, number)
		}
	}
	return out, nil
}

// MarkFilled notes in the exec files of a generation that the state of these units was filled.
func (s *Store) MarkFilled(g *Generation, units []string) error {
	for _, name := range units {
		spec := g.Specs[name]
		if spec.Filled {
			continue
		}
		spec.Filled = true
		raw, err := json.Marshal(spec)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(s.specPath(g.Number, name), raw, 0o444); err != nil {
			return fmt.Errorf("note that the state of %s is filled: %w", name, err)
		}
		g.Specs[name] = spec
	}
	return nil
}

func (s *Store) specPath(number uint64, unit string) string {
	return filepath.Join(s.Dir(number), "exec", unit+".json")
}

// Sweep removes what interrupted staging, switching and removal left behind.
func (s *Store) Sweep() error {
	base := filepath.Join(s.Root, "generations")
	if err := errors.Join(durable.Sweep(s.Root), durable.Sweep(base), durable.Sweep(filepath.Join(s.Root, failedDir)),
		durable.Sweep(filepath.Join(s.Current(), "exec"))); err != nil {
		return fmt.Errorf("sweep the generations: %w", err)
	}
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep the generations: %w", err)
	}
	for _, entry := range entries {
		if number, ok := strings.CutSuffix(entry.Name(), tempSuffix); ok && isNumber(number) {
			if err := os.RemoveAll(filepath.Join(base, entry.Name())); err != nil {
				return fmt.Errorf("sweep the generations: %w", err)
			}
		}
	}
	return nil
}

func isNumber(name string) bool {
	_, err := strconv.ParseUint(name, 10, 64)
	return err == nil
}

// Remove removes a generation's directory, as a whole.
func (s *Store) Remove(number uint64) error {
	if err := durable.RemoveAll(s.Dir(number)); err != nil {
		return fmt.Errorf("remove generation %d: %w", number, err)
	}
	return nil
}
