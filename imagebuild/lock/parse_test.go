package lock

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/fault"
)

var update = flag.Bool("update", false, "write the golden files")

func TestRenderings(t *testing.T) {
	l := sample()
	canonical, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := l.YAML("A lock for tests.\n\nNobody runs it.")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"sample.json": canonical, "sample.yaml": yaml} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the golden file:\n%s", name, got)
		}
		back, err := Parse(name, got)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, l) {
			t.Errorf("%s does not read back as it was", name)
		}
	}
}

func TestDigestIsThatOfTheCanonicalBytesWhateverTheRendering(t *testing.T) {
	want, err := sample().Digest()
	if err != nil {
		t.Fatal(err)
	}
	text, err := sample().YAML("")
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse("x", text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := back.Digest(); err != nil || got != want {
		t.Errorf("digest %s %v, want %s", got, err, want)
	}
	back.Images[0].Platforms[0].Files[0].Size++
	if got, _ := back.Digest(); got == want {
		t.Error("another lock has the same digest")
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown field", "schema: a\ntoolchain: b\nimages:\n  - name: etcd\n    sorce: {}\n", "f:5: images[0].sorce: unknown field"},
		{"an unknown field in JSON", "{\"schema\":\"a\",\n\"images\":[{\n\"platforms\":[{\"layers\":[{\"digset\":\"x\"}]}]}]}", "f:3: images[0].platforms[0].layers[0].digset: unknown field"},
		{"a field in another case", `{"Schema":"a"}`, "Schema: unknown field"},
		{"a field given twice", "schema: a\nschema: b\n", "f:2: schema: field given twice"},
		{"a field given twice in JSON", `{"schema":"a","schema":"b"}`, "schema: field given twice"},
		{"a number for a string", "toolchain: 1.26\n", "f:1: toolchain: want a string, found a number (put it in quotes)"},
		{"a string for a number", `{"images":[{"platforms":[{"layers":[{"size":"7"}]}]}]}`, "layers[0].size: want a number, found a string"},
		{"a fraction for a size", `{"images":[{"platforms":[{"layers":[{"size":7.5}]}]}]}`, `"7.5" is not an integer`},
		{"an exponent for a size", `{"images":[{"platforms":[{"layers":[{"size":1e3}]}]}]}`, `"1e3" is not an integer`},
		{"null", "schema: null\n", "want a string, found null or a boolean"},
		{"a mapping for a list", "images: {}\n", "f:1: images: want a list, found a mapping"},
		{"a list as the document", "- a\n", "document: want a mapping"},
		{"an anchor", "schema: &a x\ntoolchain: *a\n", "anchors and aliases"},
		{"a merge key", "schema: x\n<<: {toolchain: y}\n", "field name must be a plain string"},
		{"two YAML documents", "schema: a\n---\nschema: b\n", "more than one YAML document"},
		{"two JSON values", `{} {}`, "more than one JSON value"},
		{"an open JSON object", `{"schema":`, "unexpected EOF"},
		{"nothing", "", "empty"},
		{"only a comment", "# nothing\n", "empty"},
		{"broken YAML", "schema: [\n", "f"},
		{"JSON that is not UTF-8", "{\"schema\":\"\xff\"}", "UTF-8"},
		{"deep nesting", "{\"images\":" + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", "nested deeper"},
		{"too many bytes", "# " + strings.Repeat("x", MaxSize), "allowed for a lock"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if !fault.IsTerminal(err) {
				t.Error("the error is not terminal")
			}
		})
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "images.yaml")); err == nil || fault.IsTerminal(err) {
		t.Errorf("a missing file gave %v", err)
	}
	file := filepath.Join(t.TempDir(), "images.yaml")
	if err := os.WriteFile(file, []byte("schema: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file) || !fault.IsTerminal(err) {
		t.Errorf("an invalid file gave %v", err)
	}
}

func TestTheCommittedLockIsValid(t *testing.T) {
	l, err := Load("../../images.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"cni", "containerd", "containerd-shim", "coredns", "etcd", "kube-apiserver", "kube-controller-manager",
		"kube-proxy", "kube-scheduler", "kubectl", "kubelet", "pause",
	} {
		if !slices.ContainsFunc(l.ByName(name), func(i *Image) bool { return i.Unresolved == "" }) {
			t.Errorf("no resolved image %s", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"sample.json", "sample.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("schema: &a [*a]\n"))
	f.Add([]byte("images: [{name: \"\\ud800\"}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("fuzz", data)
		if err != nil {
			if !fault.IsTerminal(err) {
				t.Fatalf("the error is not terminal: %v", err)
			}
			return
		}
		if l.Validate() != nil {
			return
		}
		want, err := l.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		text, err := l.YAML("header")
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range [][]byte{want, text} {
			back, err := Parse("again", again)
			if err != nil {
				t.Fatalf("%v in\n%s", err, again)
			}
			if got, err := back.Canonical(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("canonical bytes changed (%v):\n%s\n%s", err, want, got)
			}
		}
	})
}
