package units

import (
	"errors"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		argv []string
		want string
	}{
		"plain words stay":                 {[]string{"/bin/x", "--a=b,c:d"}, "/bin/x --a=b,c:d"},
		"a space is quoted":                {[]string{"/bin/x", "a b"}, `/bin/x "a b"`},
		"an empty argument is kept":        {[]string{"/bin/x", ""}, `/bin/x ""`},
		"a specifier is doubled":           {[]string{"/bin/x", "100%n"}, "/bin/x 100%%n"},
		"a variable is doubled":            {[]string{"/bin/x", "${HOME}$A"}, "/bin/x $${HOME}$$A"},
		"the program's dollar stays":       {[]string{"/bin/$x"}, "/bin/$x"},
		"quotes and backslash are escaped": {[]string{"/bin/x", `a"b\c'd`}, `/bin/x "a\"b\\c'd"`},
		"control bytes are escaped":        {[]string{"/bin/x", "a\nb\tc\x01"}, `/bin/x "a\nb\tc\x01"`},
		"a lone semicolon is no separator": {[]string{"/bin/x", ";"}, `/bin/x ";"`},
		"letters beyond ASCII stay":        {[]string{"/bin/x", "größe"}, "/bin/x größe"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := CommandLine(c.argv...)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
	for _, argv := range [][]string{nil, {""}, {"x"}, {"-/bin/x"}, {"/bin/x", "a\x00"}, {"/bin/x", "\xff"}} {
		if got, err := CommandLine(argv...); !errors.Is(err, ErrInvalid) {
			t.Errorf("CommandLine(%q) = %q, %v", argv, got, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got, err := Environment("A=1", "B=a b", "C=50%$x", "D=")
	if want := `A=1 "B=a b" C=50%%$x D=`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	for _, a := range []string{"", "A", "=x", "1A=x", "A-B=x", "A=\x00"} {
		if got, err := Environment(a); !errors.Is(err, ErrInvalid) {
			t.Errorf("Environment(%q) = %q, %v", a, got, err)
		}
	}
}

func TestBindPath(t *testing.T) {
	if got, err := BindPath("/a", "/a"); got != "/a" || err != nil {
		t.Errorf("same path: %q, %v", got, err)
	}
	if got, err := BindPath("/a", "/b"); got != "/a:/b" || err != nil {
		t.Errorf("two paths: %q, %v", got, err)
	}
	for _, p := range []string{"", "a", "/a b", "/a:b", "/a%b", `/a\b`, "/a\nb"} {
		if got, err := BindPath(p, "/x"); !errors.Is(err, ErrInvalid) || strings.Contains(got, p) && p != "" {
			t.Errorf("BindPath(%q) = %q, %v", p, got, err)
		}
	}
}
