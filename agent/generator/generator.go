// Package generator is the systemd generator (systemd.generator(7)) that shows the current
// generation's units to systemd. So a switch is one rename and one daemon-reload, and after a
// reboot systemd starts the components without the agent and without the control plane.
package generator

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Name is the argv[0] by which the agent's binary knows that it is called as the generator.
const Name = "slipway-generator"

// wants is the directory of links to what multi-user.target starts.
const wants = "multi-user.target.wants"

// Generate shows every unit of current/units in dir, and links those that current/start names into
// multi-user.target's wants. Without a current generation there is nothing to do. A start list
// that names a unit that is not there is skipped: a generator must not keep a node from booting.
//
// Units are links, but for those whose RootDirectory= leads through the link to the current
// generation: systemd (252) cannot make a root read-only that it reaches by a symbolic link, so
// they are copies in which that one path is resolved.
func Generate(current, dir string) error {
	units := filepath.Join(current, "units")
	entries, err := os.ReadDir(units)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the current generation's units: %w", err)
	}
	known := map[string]bool{}
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		known[entry.Name()] = true
		if err := show(current, entry.Name(), dir); err != nil {
			return fmt.Errorf("show unit %s: %w", entry.Name(), err)
		}
	}
	start, err := StartList(current)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, wants), 0o755); err != nil {
		return fmt.Errorf("link the units to start: %w", err)
	}
	for _, name := range start {
		if !known[name] {
			continue
		}
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(dir, wants, name)); err != nil {
			return fmt.Errorf("link the units to start: %w", err)
		}
	}
	return nil
}

// show links one unit into dir, or copies it with its root resolved.
func show(current, name, dir string) error {
	text, copied, err := Shown(current, name)
	if err != nil {
		return err
	}
	if !copied {
		return os.Symlink(filepath.Join(current, "units", name), filepath.Join(dir, name))
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

// Shown returns the text of a unit as Generate shows it to systemd, and whether that is a copy.
func Shown(current, name string) (text string, copied bool, err error) {
	raw, err := os.ReadFile(filepath.Join(current, "units", name))
	if err != nil {
		return "", false, err
	}
	text = Text(string(raw), current)
	return text, text != string(raw), nil
}

// Text is what systemd is shown of a unit's text: the same, but for a root that leads through the
// link to the current generation, which is resolved as far as that can be done.
func Text(raw, current string) string {
	const option = "\nRootDirectory="
	if !strings.Contains(raw, option+current+"/") {
		return raw
	}
	resolved, err := filepath.EvalSymlinks(current)
	if err != nil {
		return raw
	}
	return strings.ReplaceAll(raw, option+current+"/", option+resolved+"/")
}

// StartList returns the names in a generation's start list.
func StartList(generation string) ([]string, error) {
	file, err := os.Open(filepath.Join(generation, "start"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the start list: %w", err)
	}
	defer func() { _ = file.Close() }()
	var names []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name := strings.TrimSpace(lines.Text()); name != "" && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names, nil
}
