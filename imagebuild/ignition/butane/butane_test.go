package butane

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/report"
)

func TestErrorsNameFileLineAndColumn(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":        {"variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n      contnets: x\n", "x.bu:6:7: warning: unknown key contnets"},
		"a relative path":       {"variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: a\n", "x.bu:5:13: error: path not absolute"},
		"a value of wrong type": {"variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n      mode: many\n", "x.bu:6:13: error: cannot unmarshal !!str"},
		"a path twice":          {"variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n    - path: /a\n", "x.bu:6:7: error: duplicate"},
		"no YAML":               {"variant: fcos\nversion: [1.7.0\nstorage: x\n", "x.bu:2:1: error: did not find expected"},
		"a tabulator":           {"variant: fcos\nversion: 1.7.0\nstorage:\n\tfiles: []\n", "x.bu:4:2: error: found character that cannot start any token"},
		"no variant":            {"version: 1.7.0\n", "x.bu:1:1: error: there is no variant"},
		"another variant":       {"version: 4.8.0\nvariant: openshift\n", `x.bu:2:10: error: the variant "openshift"`},
		"no version":            {"variant: fcos\n", "x.bu:1:1: error: there is no version"},
		"an unknown version":    {"variant: fcos\nversion: 9.0.0\n", `x.bu:2:10: error: version "9.0.0"`},
		"an unstable version":   {"variant: fcos\nversion: 1.8.0-experimental\n", `x.bu:2:10: error: version "1.8.0-experimental"`},
		"a local file":          {"variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n      contents:\n        local: ../b\n", "x.bu:7:16: error:"},
		"a key twice":           {"variant: fcos\nvariant: fcos\nversion: 1.7.0\n", "x.bu:2:1: error: the key variant"},
		"two documents":         {"variant: fcos\nversion: 1.7.0\n---\na: b\n", "x.bu:1:1: error: the file has more than one"},
		"nothing":               {"", "x.bu:1:1: error: the file is empty"},
		"a list":                {"- a\n", "x.bu:1:1: error: a Butane configuration is a map"},
	} {
		t.Run(name, func(t *testing.T) {
			got, entries := Render("x.bu", []byte(c.text), Options{})
			err := entries.Err(false)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.Is(err, report.ErrInvalid) {
				t.Errorf("error = %v\nwant   %s", err, c.want)
			}
			if entries.Err(true) != nil && got != nil {
				t.Errorf("and yet there is %s", got)
			}
		})
	}
}

func TestLocalFilesAreReadFromTheirDirectoryOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "motd"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := "variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents:\n        local: %s\n"
	got, entries := Render("x.bu", fmt.Appendf(nil, text, "motd"), Options{FilesDir: dir})
	if entries.Err(false) != nil || !strings.Contains(string(got), "data:,hello") {
		t.Errorf("%s, %v", got, entries)
	}
	if _, entries := Render("x.bu", fmt.Appendf(nil, text, "../motd"), Options{FilesDir: dir}); entries.Err(true) == nil {
		t.Error("a file outside is read")
	}
}

func TestEveryVersionIsTranslatedToTheIgnitionThatBelongsToIt(t *testing.T) {
	for version, want := range map[string]string{"1.0.0": "3.0.0", "1.1.0": "3.1.0", "1.2.0": "3.2.0", "1.3.0": "3.2.0", "1.4.0": "3.3.0", "1.5.0": "3.4.0", "1.6.0": "3.5.0", "1.7.0": "3.6.0"} {
		got, entries := Render("x.bu", []byte("variant: fcos\nversion: "+version+"\nstorage:\n  directories:\n    - path: /var/x\n"), Options{})
		if entries.Err(false) != nil || !strings.Contains(string(got), `"version":"`+want+`"`) {
			t.Errorf("%s: %s, %v", version, got, entries)
		}
	}
}

// TestButaneAndIgnitionGoRoundUnchanged renders, generates and renders again, for every file in
// testdata: those of Butane, and those of Ignition that something else may have written.
func TestButaneAndIgnitionGoRoundUnchanged(t *testing.T) {
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) < 4 {
		t.Fatalf("testdata: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) == ".bu" {
				var entries report.Entries
				if text, entries = Render(file, text, Options{FilesDir: "testdata"}); entries.Err(true) != nil {
					t.Fatal(entries.Err(true))
				}
			}
			first, entries := config.Parse(file, text)
			if entries.Err(true) != nil {
				t.Fatal(entries.Err(true))
			}
			bu, err := Generate(first)
			if err != nil {
				t.Fatal(err)
			}
			again, entries := Render("generated.bu", bu, Options{})
			if err := entries.Err(true); err != nil {
				t.Fatalf("%v\n%s", err, bu)
			}
			second, entries := config.Parse("generated.ign", again)
			if entries.Err(true) != nil {
				t.Fatal(entries.Err(true))
			}
			a, err := config.Canonical(first)
			if err != nil {
				t.Fatal(err)
			}
			b, err := config.Canonical(second)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a, b) {
				t.Errorf("first\n%s\nsecond\n%s", a, b)
			}
			if twice, err := Generate(second); err != nil || !bytes.Equal(bu, twice) {
				t.Errorf("generated once\n%s\ntwice (%v)\n%s", bu, err, twice)
			}
		})
	}
}

func TestTextIsInlineAndModesAreOctal(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("line 1\nline 2\n"))
	_ = w.Close()
	c, entries := config.Parse("x.ign", []byte(`{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/a","mode":420,"contents":{"compression":"gzip","source":"data:;base64,`+base64Of(packed.String())+`"}},
		{"path":"/b","mode":0,"contents":{"source":"data:,one"}}]}}`))
	if err := entries.Err(true); err != nil {
		t.Fatal(err)
	}
	got, err := Generate(c)
	if err != nil {
		t.Fatal(err)
	}
	want := "variant: fcos\nversion: 1.7.0\nstorage:\n  files:\n    - path: /a\n      contents:\n        inline: |\n          line 1\n          line 2\n      mode: 0644\n" +
		"    - path: /b\n      contents:\n        inline: one\n      mode: 0000\n"
	if string(got) != want {
		t.Errorf("generated\n%s\nwant\n%s", got, want)
	}
}

func pointer(s string) *string { return &s }

func TestWhatButaneCannotSayIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"contents that cannot be unpacked": {`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a","contents":{"compression":"gzip","source":"data:,x"}}]}}`, "$.storage.files.0.contents"},
		"a child that is no configuration": {`{"ignition":{"version":"3.6.0","config":{"merge":[{"source":"data:,x"}]}}}`, "$.ignition.config.merge.0"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, entries := config.Parse("x.ign", []byte(c.text))
			if err := entries.Err(true); err != nil {
				t.Fatal(err)
			}
			if got, err := Generate(parsed); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, error = %v", got, err)
			}
		})
	}
}

func FuzzRender(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.bu")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, entries := Render("x.bu", text, Options{})
		if (got == nil) != (entries.Err(true) != nil) {
			t.Errorf("%d bytes, %v", len(got), entries)
		}
		for _, e := range entries {
			if e.Line < 1 || e.Column < 1 {
				t.Errorf("no position: %+v", e)
			}
		}
	})
}

func FuzzGenerate(f *testing.F) {
	f.Add("a: b\n  c\n", "x")
	f.Add("\tx\n\n", " y \n z")
	f.Add("yes", "\u2028\n\ufeff")
	f.Fuzz(func(t *testing.T, contents, unit string) {
		c, entries := config.Parse("x.ign", []byte(`{"ignition":{"version":"3.6.0"},"storage":{"files":[{"path":"/a"}]},"systemd":{"units":[{"name":"a.service"}]}}`))
		if err := entries.Err(true); err != nil {
			t.Fatal(err)
		}
		c.Storage.Files[0].Contents.Source = pointer("data:;base64," + base64Of(contents))
		c.Systemd.Units[0].Contents = pointer("[Unit]\nDescription=" + unit)
		if _, entries := config.Parse("x.ign", mustMarshal(t, c)); entries.Err(true) != nil {
			return
		}
		if _, err := Generate(c); err != nil && strings.Contains(err.Error(), "cannot say this: $") {
			t.Error(err)
		}
	})
}
