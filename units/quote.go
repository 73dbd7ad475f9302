package units

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CommandLine returns argv as the value of ExecStart= and its siblings, so that systemd runs
// exactly those arguments: specifiers ("%") and variables ("$") are doubled, words that need
// it are quoted with C escapes. The program must be an absolute path, so that none of the
// prefixes of systemd.service(5) can stand in front of it.
func CommandLine(argv ...string) (string, error) {
	if len(argv) == 0 || !strings.HasPrefix(argv[0], "/") {
		return "", fmt.Errorf("%w: a command line must begin with an absolute path: %q", ErrInvalid, argv)
	}
	words := make([]string, len(argv))
	for i, a := range argv {
		if err := quotable(a); err != nil {
			return "", fmt.Errorf("argument %d of %s: %w", i, argv[0], err)
		}
		words[i] = quote(strings.NewReplacer("%", "%%", "$", "$$").Replace(a))
		if i == 0 {
			// systemd expands no variables in the program's path; a doubled "$" would stay.
			words[i] = quote(strings.ReplaceAll(a, "%", "%%"))
		}
	}
	return strings.Join(words, " "), nil
}

// Environment returns assignments (KEY=value) as the value of Environment=. Specifiers are
// doubled; "$" has no meaning there and stays.
func Environment(assignments ...string) (string, error) {
	words := make([]string, len(assignments))
	for i, a := range assignments {
		key, _, ok := strings.Cut(a, "=")
		if !ok || !validVariable(key) {
			return "", fmt.Errorf("%w: %q is no assignment to an environment variable", ErrInvalid, a)
		}
		if err := quotable(a); err != nil {
			return "", fmt.Errorf("variable %s: %w", key, err)
		}
		words[i] = quote(strings.ReplaceAll(a, "%", "%%"))
	}
	return strings.Join(words, " "), nil
}

// BindPath returns one word for BindPaths= or BindReadOnlyPaths=: source, or source and
// destination when they differ. Both must be absolute and plain: systemd unquotes these
// words twice, so a path with white space, quotes, backslashes or colons is refused.
func BindPath(source, destination string) (string, error) {
	for _, p := range [2]string{source, destination} {
		if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, " \t\n\"'\\:%") || quotable(p) != nil {
			return "", fmt.Errorf("%w: bind path %q is not absolute and plain", ErrInvalid, p)
		}
	}
	if source == destination {
		return source, nil
	}
	return source + ":" + destination, nil
}

// quotable refuses what no unit file can carry.
func quotable(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalid, s)
	}
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("%w: %q holds a NUL", ErrInvalid, s)
	}
	return nil
}

// quote returns s as one word of a list: as it is when every byte is harmless, else within
// double quotes with C escapes.
func quote(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		plain = plain && (isAlnum(c) || c >= 0x80 || strings.IndexByte("!#%&()*+,-./:<=>?@[]^_{|}~$", c) >= 0)
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func validVariable(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '_' {
			return false
		}
	}
	return true
}
