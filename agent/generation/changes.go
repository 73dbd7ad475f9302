package generation

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/agent/plan"
)

// Changes is what has to be asked of systemd to get from one generation to another. Units that
// are the same in both are left alone.
type Changes struct {
	Stop    []string // gone; before the switch, while systemd still knows them
	Restart []string // differ in unit, exec file, or a file that they use
	Start   []string // new
}

// Compare returns the changes from old to next; old may be nil. Start and restart are in the
// order of the units' After=, so that systemd sees a job's predecessors before the job.
func Compare(old, next *Generation) Changes {
	var changes Changes
	if old != nil {
		for _, unit := range old.Plan.Units {
			if next.unit(unit.Name) == nil {
				changes.Stop = append(changes.Stop, unit.Name)
			}
		}
		slices.Reverse(changes.Stop)
	}
	for _, unit := range ordered(next.Plan.Units) {
		var before *plan.Unit
		if old != nil {
			before = old.unit(unit.Name)
		}
		switch {
		case before == nil && unit.Start:
			changes.Start = append(changes.Start, unit.Name)
		case before == nil:
		case differs(old, next, before, &unit):
			changes.Restart = append(changes.Restart, unit.Name)
		case unit.Start && !before.Start:
			changes.Start = append(changes.Start, unit.Name)
		}
	}
	return changes
}

func (g *Generation) unit(name string) *plan.Unit {
	for i := range g.Plan.Units {
		if g.Plan.Units[i].Name == name {
			return &g.Plan.Units[i]
		}
	}
	return nil
}

func differs(old, next *Generation, before, after *plan.Unit) bool {
	if before.Text != after.Text {
		return true
	}
	oldSpec, nextSpec := old.comparable(before.Name), next.comparable(after.Name)
	if !bytes.Equal(oldSpec, nextSpec) {
		return true
	}
	text := after.Text + "\n" + string(nextSpec)
	for _, file := range changedFiles(old.Plan.Files, next.Plan.Files) {
		if uses(text, file) {
			return true
		}
	}
	return false
}

// comparable is a unit's exec file without the note about its state, which is no change.
func (g *Generation) comparable(unit string) []byte {
	spec, ok := g.Specs[unit]
	if !ok {
		return nil
	}
	spec.Filled = false
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil // a struct of plain fields always marshals
	}
	return raw
}

// changedFiles returns the paths that are in one list only, or differ.
func changedFiles(old, next []plan.File) []string {
	before := map[string]plan.File{}
	for _, file := range old {
		before[file.Path] = file
	}
	var out []string
	for _, file := range next {
		if was, ok := before[file.Path]; !ok || was != file {
			out = append(out, file.Path)
		}
		delete(before, file.Path)
	}
	for gone := range before {
		out = append(out, gone)
	}
	return out
}

// uses reports whether a unit's text or arguments name a file of the generation, or a directory
// above it.
func uses(text, file string) bool {
	for name := file; name != "."; name = path.Dir(name) {
		full := plan.Current + "/files/" + name
		for rest := text; ; {
			i := strings.Index(rest, full)
			if i < 0 {
				break
			}
			rest = rest[i+len(full):]
			if rest == "" || !isNameByte(rest[0]) {
				return true
			}
		}
	}
	// The whole tree of files, mounted as one.
	return strings.Contains(text, plan.Current+"/files:") || strings.Contains(text, plan.Current+"/files ")
}

func isNameByte(b byte) bool {
	return b == '/' || b == '.' || b == '-' || b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// ordered returns the units so that each comes after those of its After= that are among them;
// in a circle, which systemd will break, the plan's own order holds.
func ordered(units []plan.Unit) []plan.Unit {
	byName := map[string]int{}
	for i, unit := range units {
		byName[unit.Name] = i
	}
	var out []plan.Unit
	state := make([]int, len(units)) // 0 not seen, 1 being visited, 2 done
	var visit func(i int)
	visit = func(i int) {
		if state[i] != 0 {
			return
		}
		state[i] = 1
		for _, name := range after(units[i].Text) {
			if j, ok := byName[name]; ok {
				visit(j)
			}
		}
		state[i] = 2
		out = append(out, units[i])
	}
	for i := range units {
		visit(i)
	}
	return out
}

func after(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(key) == "After" {
			names = append(names, strings.Fields(value)...)
		}
	}
	return names
}
