package units

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxText bounds a unit file; systemd itself refuses lines of more than 1 MiB.
const maxText = 1 << 20

// Parse reads the text of the unit called name. It follows systemd.syntax(7): lines that
// begin with "#" or ";" are comments, also between continued lines; a backslash at the end
// of a line continues it and stands for one space; white space around names and values does
// not count; sections of the same name are one. Where systemd warns and goes on (an option
// outside of a section, a line without "="), Parse returns an error that names the line.
func Parse(name, text string) (Unit, error) {
	u := Unit{Name: name}
	if err := ValidName(name); err != nil {
		return Unit{}, err
	}
	if len(text) > maxText {
		return Unit{}, fmt.Errorf("%w: %s: %d bytes, at most %d are read", ErrInvalid, name, len(text), maxText)
	}
	fail := func(line int, format string, a ...any) (Unit, error) {
		return Unit{}, fmt.Errorf("%w: %s:%d: %s", ErrInvalid, name, line, fmt.Sprintf(format, a...))
	}
	if !utf8.ValidString(text) {
		return fail(1, "the text is not UTF-8")
	}
	section := -1
	var begun strings.Builder // what continued lines have gathered
	first, continued := 0, false
	for i, line := range strings.Split(text, "\n") {
		no := i + 1
		line = strings.TrimSuffix(line, "\r")
		if strings.ContainsAny(line, "\x00\r") {
			return fail(no, "a NUL or a bare carriage return")
		}
		trimmed := strings.TrimLeft(line, blank)
		if trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
			continue
		}
		if !continued {
			if strings.Trim(line, blank) == "" {
				continue
			}
			begun.Reset()
			first = no
		}
		if stem, ok := strings.CutSuffix(line, `\`); ok {
			begun.WriteString(stem + " ")
			continued = true
			continue
		}
		begun.WriteString(line)
		continued = false

		whole := strings.Trim(begun.String(), blank)
		if whole == "" {
			continue
		}
		if whole[0] == '[' {
			title, ok := strings.CutSuffix(whole[1:], "]")
			if !ok || !validWord(title, true) {
				return fail(first, "malformed section header %q", whole)
			}
			section = u.section(title)
			continue
		}
		key, value, ok := strings.Cut(whole, "=")
		key, value = strings.Trim(key, blank), strings.Trim(value, blank)
		switch {
		case !ok:
			return fail(first, "no %q in %q", "=", whole)
		case section < 0:
			return fail(first, "option %q stands before the first section", key)
		case !validWord(key, false):
			return fail(first, "option name %q", key)
		}
		if why := badValue(value); why != "" {
			return fail(first, "%s= %s", key, why)
		}
		s := &u.Sections[section]
		s.Options = append(s.Options, Option{key, value})
	}
	if continued {
		return fail(first, "the last line is continued and the text ends")
	}
	return u, nil
}

// section returns the index of the named section, which it appends when it is new.
func (u *Unit) section(name string) int {
	for i, s := range u.Sections {
		if s.Name == name {
			return i
		}
	}
	u.Sections = append(u.Sections, Section{Name: name})
	return len(u.Sections) - 1
}
