package release

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// Clone finds in a clone of the repository what has to be edited for a proposal.
type Clone struct {
	Files fs.FS // the root of the clone
	// Recipes is the folder of the recipes' Go files, Sources that of the build modules, both from the root.
	Recipes, Sources string
}

// Edits returns, in order, what to do for a proposal in the root of the clone: commands to type after
// "run", and what only a person can tell. Where the same text stands in several places the commands for
// all of them are given, with what to look for before each is typed.
func (c Clone) Edits(p Proposal) ([]string, error) {
	places, err := c.mentions(p)
	if err != nil {
		return nil, fmt.Errorf("look for what to edit: %w", err)
	}
	var all []string
	for _, place := range places {
		where := ""
		if len(places) > 1 {
			where = "   # if it is of " + p.Source
		}
		file, line, _ := strings.Cut(place, ":")
		if plain(p.Current) && plain(p.Proposed) {
			all = append(all, fmt.Sprintf("run %s%s", substitute(line, p.Current, p.Proposed, "", file), where))
			continue
		}
		all = append(all, fmt.Sprintf("edit %s: %q becomes %q%s", place, p.Current, p.Proposed, where))
	}
	if len(places) == 0 {
		all = append(all, fmt.Sprintf("edit the recipe of %s in %s: %s becomes %s", words(p.Images), c.Recipes, p.Current, p.Proposed))
	}
	if p.Kind == Module {
		gets, err := c.gets(p)
		if err != nil {
			return nil, fmt.Errorf("look for the build modules: %w", err)
		}
		all = append(all, gets...)
	}
	return append(all, "run slipway images lock"), nil
}

// plain reports whether a version can stand in a command as it is: what comes from a proxy or an
// archive may be anything.
func plain(version string) bool {
	return version != "" && strings.Trim(version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~:-") == ""
}

// substitute is the command that replaces a version by another one in a line of a file, or in all of them.
func substitute(line, from, to, end, file string) string {
	return fmt.Sprintf("sed -i '%ss/%s%s/%s/' %s", line, strings.ReplaceAll(from, ".", `\.`), end, to, file)
}

// mentions are the lines of the recipes that have the current version as a text of its own, in files
// that name the module, the package or one of the images.
func (c Clone) mentions(p Proposal) ([]string, error) {
	subjects := []string{p.Source}
	if name, _, found := strings.Cut(p.Source, ":"); found && p.Kind == Debian {
		subjects = []string{name}
	}
	var places []string
	err := fs.WalkDir(c.Files, c.Recipes, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name == c.Sources {
			return fs.SkipDir
		}
		if entry.IsDir() || strings.HasSuffix(name, "_test.go") || !slices.Contains([]string{".go", ".yaml", ".json", ".txt"}, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(c.Files, name)
		if err != nil {
			return err
		}
		about := slices.ContainsFunc(subjects, func(s string) bool { return bytes.Contains(text, []byte(s)) })
		if !about {
			return nil
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			if hasWord(lines.Text(), p.Current) {
				places = append(places, fmt.Sprintf("%s:%d", name, n))
			}
		}
		return lines.Err()
	})
	return places, err
}

// hasWord reports whether a line has the text with nothing of a version on either side.
func hasWord(line, text string) bool {
	part := func(b byte) bool {
		return b == '.' || b == '-' || b == '+' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	for from := 0; ; {
		i := strings.Index(line[from:], text)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(text)
		if (begin == 0 || !part(line[begin-1])) && (end == len(line) || !part(line[end])) {
			return true
		}
		from = end
	}
}

// gets are the commands that bring the build modules to the proposed version.
func (c Clone) gets(p Proposal) ([]string, error) {
	var all []string
	err := fs.WalkDir(c.Files, c.Sources, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "go.mod" {
			return err
		}
		text, err := fs.ReadFile(c.Files, name)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(name, text, nil)
		if err != nil {
			return err
		}
		requires := slices.ContainsFunc(file.Require, func(r *modfile.Require) bool {
			return r.Mod.Path == p.Source && r.Mod.Version == p.Current
		})
		if !requires {
			return nil
		}
		dir := path.Dir(name)
		if path.Base(dir) == p.Current { // one folder for each version
			next := path.Join(path.Dir(dir), p.Proposed)
			all = append(all, fmt.Sprintf("run cp -r %s %s   # the old one stays while the lock has that version", dir, next))
			dir = next
		}
		if n := pinned(file, p.Current); n > 0 {
			all = append(all, fmt.Sprintf("run %s   # replacements: %d", substitute("", "v0."+after1(p.Current), "v0."+after1(p.Proposed), "$", dir+"/go.mod"), n))
		}
		all = append(all, fmt.Sprintf("run go -C %s get %s@%s", dir, p.Source, p.Proposed))
		return nil
	})
	return all, err
}

// pinned counts the replacements of Kubernetes' staging modules, whose versions follow its own:
// v0.36.3 for v1.36.3.
func pinned(file *modfile.File, version string) int {
	n := 0
	for _, r := range file.Replace {
		if r.New.Version == "v0."+after1(version) {
			n++
		}
	}
	return n
}

// after1 is a version without its "v1.".
func after1(version string) string { return strings.TrimPrefix(version, "v1.") }
