package units

import (
	"fmt"
	"testing"
)

func TestDiffSaysInWordsWhatChanges(t *testing.T) {
	parse := func(text string) Unit {
		u, err := Parse("a.service", text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing":             {"[A]\nx=1\ny=2\n", "[A]\ny=2\nx=1\n", "[]"},
		"one value":           {"[A]\nx=1\n", "[A]\nx=2\n", "[[A] x= changes from 1 to 2]"},
		"a value to empty":    {"[A]\nx=1\n", "[A]\nx=\n", "[[A] x= changes from 1 to (empty)]"},
		"an added option":     {"[A]\nx=1\n", "[A]\nx=1\n[B]\ny=2\n", "[[B] y= is added: 2]"},
		"a removed option":    {"[A]\nx=1\n", "[A]\n", "[[A] x= is removed, it was 1]"},
		"a longer list":       {"[A]\nx=1\nx=2\n", "[A]\nx=1\nx=2\nx=3\n", "[[A] x= gains 3]"},
		"a shorter list":      {"[A]\nx=1\nx=2\n", "[A]\nx=1\n", "[[A] x= loses 2]"},
		"a list with another": {"[A]\nx=1\nx=2\n", "[A]\nx=1\nx=3\n", "[[A] x= gains 3 and loses 2]"},
		"a list in new order": {"[A]\nx=1\nx=2\n", "[A]\nx=2\nx=1\n", "[[A] x= changes its order to 2, 1]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(Diff(parse(c.old), parse(c.new))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
