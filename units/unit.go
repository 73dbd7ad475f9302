package units

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Unit is one unit file. The order of sections and of options in them is kept, because for
// options that may stand several times (ExecStartPre=, BindReadOnlyPaths=) it has a meaning.
type Unit struct {
	Name     string // file name with its suffix, such as "slipway-etcd.service"
	Sections []Section
}

// Section is a named group of options. A unit has at most one section of a name.
type Section struct {
	Name    string
	Options []Option
}

// Option is one assignment. An empty Value is meaningful to systemd: it resets a list or,
// for CapabilityBoundingSet=, stands for the empty set.
type Option struct {
	Name  string
	Value string
}

// ErrInvalid is in the chain of every error about a unit's contents.
var ErrInvalid = errors.New("invalid unit")

// Add appends an option to the named section, which is made at the end when it is missing.
func (u *Unit) Add(section, name, value string) {
	for i := range u.Sections {
		if u.Sections[i].Name == section {
			u.Sections[i].Options = append(u.Sections[i].Options, Option{name, value})
			return
		}
	}
	u.Sections = append(u.Sections, Section{Name: section, Options: []Option{{name, value}}})
}

// Values returns every value of an option in its order; nil when it is not set.
func (u Unit) Values(section, name string) []string {
	var out []string
	for _, s := range u.Sections {
		if s.Name != section {
			continue
		}
		for _, o := range s.Options {
			if o.Name == name {
				out = append(out, o.Value)
			}
		}
	}
	return out
}

// Last returns the last value of an option, which is the one that counts for options that
// hold one value, and whether it is set at all.
func (u Unit) Last(section, name string) (string, bool) {
	v := u.Values(section, name)
	if len(v) == 0 {
		return "", false
	}
	return v[len(v)-1], true
}

// Validate reports the first thing in u that could not be written to a unit file and read
// back as the same value. It checks form only; which options exist is systemd's to say.
func (u Unit) Validate() error {
	if err := ValidName(u.Name); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, s := range u.Sections {
		if !validWord(s.Name, true) {
			return fmt.Errorf("%w: %s: section name %q", ErrInvalid, u.Name, s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("%w: %s: section [%s] stands twice", ErrInvalid, u.Name, s.Name)
		}
		seen[s.Name] = true
		for _, o := range s.Options {
			if !validWord(o.Name, false) {
				return fmt.Errorf("%w: %s: [%s] option name %q", ErrInvalid, u.Name, s.Name, o.Name)
			}
			if why := badValue(o.Value); why != "" {
				return fmt.Errorf("%w: %s: [%s] %s= %s", ErrInvalid, u.Name, s.Name, o.Name, why)
			}
		}
	}
	return nil
}

// suffixes are the unit types of systemd.unit(5).
var suffixes = [...]string{
	".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path",
	".timer", ".slice", ".scope",
}

// ValidName reports whether name can be a unit's file name: at most 255 bytes of letters,
// digits and ":-_.\@", ending in the suffix of a unit type.
func ValidName(name string) error {
	if len(name) > 255 {
		return fmt.Errorf("%w: name of %d bytes, at most 255 are allowed", ErrInvalid, len(name))
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && !strings.ContainsRune(`:-_.\@`, rune(c)) {
			return fmt.Errorf("%w: name %q holds %q", ErrInvalid, name, c)
		}
	}
	for _, s := range suffixes {
		if stem, ok := strings.CutSuffix(name, s); ok && stem != "" && stem[0] != '@' {
			return nil
		}
	}
	return fmt.Errorf("%w: name %q has no stem or no suffix of a unit type", ErrInvalid, name)
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// validWord reports whether s is made of letters, digits, "-" and "_" (and, in a section's
// name, spaces within), as all names of systemd are.
func validWord(s string, spaces bool) bool {
	if s == "" || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && !(spaces && c == ' ') {
			return false
		}
	}
	return true
}

// badValue says why v would not survive being written and read, or "".
func badValue(v string) string {
	switch {
	case !utf8.ValidString(v):
		return "is not UTF-8"
	case strings.ContainsAny(v, "\n\r\x00"):
		return "holds a line break or a NUL"
	case strings.Trim(v, blank) != v:
		return "begins or ends with white space"
	case strings.HasSuffix(v, `\`):
		return "ends in a backslash, which would continue the line"
	}
	return ""
}

// blank is what systemd strips around names and values.
const blank = " \t\n\r"
