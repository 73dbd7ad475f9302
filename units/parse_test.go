package units

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	text := "# comment\n\n[Unit]\nDescription = A  b \n; another\nAfter=a \\\n# between\n  b\n" +
		"[Service]\r\nExecStart=/bin/x a=b\nCapabilityBoundingSet=\n[Unit]\nAfter=c\n"
	got, err := Parse("a.service", text)
	if err != nil {
		t.Fatal(err)
	}
	want := Unit{"a.service", []Section{
		{"Unit", []Option{{"Description", "A  b"}, {"After", "a    b"}, {"After", "c"}}},
		{"Service", []Option{{"ExecStart", "/bin/x a=b"}, {"CapabilityBoundingSet", ""}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseNamesTheLineOfAnError(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an option before any section":     {"\nAfter=x\n", "a.service:2: option"},
		"a line without an equals sign":    {"[Unit]\nAfter\n", "a.service:2: no"},
		"a header that is not closed":      {"[Unit]\n[Service\n", "a.service:2: malformed"},
		"an empty header":                  {"[]\n", "a.service:1: malformed"},
		"an empty option name":             {"[Unit]\n=x\n", "a.service:2: option name"},
		"a NUL":                            {"[Unit]\nA=x\x00\n", "a.service:2: a NUL"},
		"a text that ends in continuation": {"[Unit]\nA=b\\\n# c", "a.service:2: the last line"},
		"the first line of a continuation": {"[Unit]\n\nAfter\\\n b\n", "a.service:3: no"},
		"bytes that are not UTF-8":         {"[Unit]\nA=\xff\n", "a.service:1: the text is not UTF-8"},
		"a text that is too long":          {"[Unit]\n" + strings.Repeat("A=b\n", 1<<18), "at most 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := Parse("a.service", c.text)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("parsed %+v, error %v, want one with %q", u, err, c.want)
			}
		})
	}
}

// FuzzParse checks that whatever is accepted renders to a text that parses to the same unit.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "[Unit]\nAfter=x\n", "[Unit]\nA=b\\\nc\n", "[S]\nE=\"x\\x20y\" $$ %%\n", "[A]\nB=\n[A]\nB=c\n", "[X]\nA=b\\\\\n", "[X]\nA=\v\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse("fuzz.service", text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		out, err := u.Render()
		if err != nil {
			t.Fatalf("parsed but does not render: %v\n%q", err, text)
		}
		again, err := Parse("fuzz.service", out)
		if err != nil || !reflect.DeepEqual(u, again) {
			t.Fatalf("round trip: %v\n%+v\n%+v", err, u, again)
		}
		if d := Diff(u, again); len(d) != 0 {
			t.Fatalf("equal units differ: %v", d)
		}
	})
}
