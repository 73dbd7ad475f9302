package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMistakesInAGraphAreNamed(t *testing.T) {
	nothing := func(context.Context, *Step) error { return nil }
	s := func(name string, change func(*Stage)) Stage {
		s := Stage{Name: name, Run: nothing}
		if change != nil {
			change(&s)
		}
		return s
	}
	for _, c := range []struct {
		name, want string
		stages     []Stage
	}{
		{"a name", `stage "A b": the name is not`, []Stage{s("A b", nil)}},
		{"two of a name", `stage "a": there are two`, []Stage{s("a", nil), s("a", nil)}},
		{"nothing to run", `stage "a": it has nothing to run`, []Stage{s("a", func(s *Stage) { s.Run = nil })}},
		{"a stranger", `it needs "b", which does not exist`, []Stage{s("a", func(s *Stage) { s.Needs = []string{"b"} })}},
		{"no such output", `stage "b" has no output "x"`, []Stage{s("a", func(s *Stage) { s.Inputs = []Input{Output("b", "x")} }), s("b", nil)}},
		{"an input twice", `two inputs are called "p"`, []Stage{s("a", func(s *Stage) { s.Inputs = []Input{Parameter("p", "1"), Parameter("p", "2")} })}},
		{"a circle", `need each other in a circle: [a b a]`, []Stage{s("a", func(s *Stage) { s.Needs = []string{"b"} }), s("b", func(s *Stage) { s.Needs = []string{"a"} })}},
		{"a user that reads past its holder", `it reads of "c", which "b", that it uses, does not need`, []Stage{
			s("a", func(s *Stage) { s.Uses, s.Inputs = []string{"b"}, []Input{Output("c", "x")} }), s("b", nil), s("c", func(s *Stage) { s.Outputs = []string{"x"} })}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := NewGraph(c.stages...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	g, err := NewGraph(s("a", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(t.Context(), Options{Cache: t.TempDir(), Only: []string{"z"}}); err == nil || !strings.Contains(err.Error(), `no stage "z"; there are [a]`) {
		t.Errorf("got %v", err)
	}
}

func TestADigestIsOfNamesContentsLinksAndExecution(t *testing.T) {
	make := func(change func(dir string) error) string {
		dir := t.TempDir()
		for name, text := range map[string]string{"a": "1", "sub/b": "2", "sub/b_test.go": "3"} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if change != nil {
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
		}
		digest, err := Sources("tree", dir, WithoutTests).digest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	plain := make(nil)
	for name, change := range map[string]func(string) error{
		"permissions of others": func(dir string) error { return os.Chmod(filepath.Join(dir, "a"), 0o600) },
		"a test":                func(dir string) error { return os.WriteFile(filepath.Join(dir, "sub/c_test.go"), nil, 0o644) },
	} {
		if make(change) != plain {
			t.Errorf("%s counts", name)
		}
	}
	for name, change := range map[string]func(string) error{
		"contents":      func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("2"), 0o644) },
		"a name":        func(dir string) error { return os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c")) },
		"execution":     func(dir string) error { return os.Chmod(filepath.Join(dir, "a"), 0o755) },
		"a link":        func(dir string) error { return os.Symlink("a", filepath.Join(dir, "l")) },
		"an empty file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "e"), nil, 0o644) },
	} {
		if make(change) == plain {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestAPlanTellsWhatIsCachedAndWhatIsOpen(t *testing.T) {
	cache := t.TempDir()
	b := &book{}
	write := func(_ context.Context, s *Step) error { return os.WriteFile(s.Out("made"), []byte("x"), 0o644) }
	g, err := NewGraph(
		Stage{Name: "one", Outputs: []string{"made"}, Run: write},
		Stage{Name: "two", Inputs: []Input{Output("one", "made")}, Run: func(context.Context, *Step) error { return nil }},
		Stage{Name: "three", Volatile: true, Needs: []string{"two"}, Run: func(context.Context, *Step) error { b.write("three"); return nil }},
		Stage{Name: "four", Inputs: []Input{Path("file", filepath.Join(cache, "none"))}, Run: write},
	)
	if err != nil {
		t.Fatal(err)
	}
	text := func() string {
		plans, err := g.Plan(t.Context(), Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, p := range plans {
			line := p.Name
			if p.Cached {
				line += " cached"
			}
			if len(p.Open) > 0 {
				line += " open"
			}
			if p.Problem != "" {
				line += " problem"
			}
			all = append(all, line)
		}
		return strings.Join(all, ", ")
	}
	if got := text(); got != "one, two open, three, four problem" {
		t.Error(got)
	}
	if _, err := g.Run(t.Context(), Options{Cache: cache, Only: []string{"three"}}); err != nil {
		t.Fatal(err)
	}
	if got := text(); got != "one cached, two cached, three, four problem" || b.count("three") != 1 {
		t.Error(got)
	}
}
