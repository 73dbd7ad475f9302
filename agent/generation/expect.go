package generation

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/run"
	"slipway.build/slipway/agent/trust"
)

// Item is one thing in a generation's directory: a directory, a file with content, or a hard
// link to a file of the image store.
type Item struct {
	Path    string // relative to the generation's directory
	Mode    fs.FileMode
	Content []byte
	// Store is the absolute path of the file that a link shares its bytes with; SHA256 (hex) and
	// Size are the signed lock's.
	Store  string
	SHA256 string
	Size   int64
}

// IsDir reports whether the item is a directory.
func (i Item) IsDir() bool { return i.Mode.IsDir() }

// IsLink reports whether the item is a file of an image.
func (i Item) IsLink() bool { return i.Store != "" }

// Expected returns everything that Stage writes for a checked plan, each thing once, by path.
func (s *Store) Expected(checked *trust.Checked, delivery protocol.Delivery, filled map[string]bool) ([]Item, error) {
	seen := map[string]bool{".": true}
	var items []Item
	w := &stager{list: func(item Item) {
		for dir := filepath.Dir(item.Path); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			items = append(items, Item{Path: dir, Mode: fs.ModeDir | 0o755})
		}
		if !seen[item.Path] {
			seen[item.Path] = true
			items = append(items, item)
		}
	}}
	if err := s.stage(w, checked, delivery, filled); err != nil {
		return nil, fmt.Errorf("list generation %d: %w", checked.Plan.Generation, err)
	}
	if w.err != nil {
		return nil, fmt.Errorf("list generation %d: %w", checked.Plan.Generation, w.err)
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return items, nil
}

// Of returns the generation that a checked plan would be staged as, without anything on disk.
func (s *Store) Of(checked *trust.Checked) *Generation {
	g := &Generation{Number: checked.Plan.Generation, Plan: checked.Plan, Specs: map[string]run.Spec{}}
	for _, unit := range checked.Plan.Units {
		if unit.Exec != nil {
			g.Specs[unit.Name] = s.spec(checked, unit, nil)
		}
	}
	return g
}

// Using returns the names of the units of a generation that name a file of it, or a directory
// above it, in their text or their exec file. The path is relative to the generation's files.
func (g *Generation) Using(file string) []string {
	var names []string
	for _, unit := range g.Plan.Units {
		if uses(unit.Text+"\n"+string(g.comparable(unit.Name)), file) {
			names = append(names, unit.Name)
		}
	}
	return names
}
