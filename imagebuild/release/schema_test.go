package release

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"slipway.build/slipway/imagebuild/lock"
)

var update = flag.Bool("update", false, "write the golden files anew")

// published is where the schema is for everybody to read.
const published = "../../docs/schema/images-v2.json"

func TestThePublishedSchemaIsThatOfTheTypes(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(published, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say; write it with `go test ./imagebuild/release -run Published -update`", published)
	}
}

// compiled is the schema in a validator of its own standard.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(SchemaID, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everything is a valid lock in which every field has a value.
func everything(t testing.TB) map[string]any {
	t.Helper()
	images := one("etcd", "v3.6.16", "1.36")
	images[0].Supported, images[0].HostTools, images[0].System = "2027-06-28", []string{"mount"}, "it needs a shell"
	images[0].Platforms = images[0].Platforms[:1]
	images[0].Platforms[0].Debian = []lock.Package{{Name: "bird", Version: "1.6.8-2.1+b1", Path: "pool/main/b/bird/bird_1.6.8.deb", SHA256: bare(sum("bird"))}}
	l := lockOf(t, images, []lock.Image{{Name: "fluentd", Version: "v1.19.2", Repository: "upstream/fluentd",
		Source: lock.Source{Reference: "registry.example/fluentd:v1.19.2"}, Unresolved: "no network here"}})
	l.Accepted = []lock.Acceptance{{Rule: "unresolved", Image: "fluentd", Reason: "not used yet", Until: "2027-01-31"}}
	raw, err := l.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// judgements says what the schema and what package lock think of a document.
func judgements(t testing.TB, s *jsonschema.Schema, tree any) (bySchema, byLock error) {
	t.Helper()
	raw, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse("lock", raw)
	if err == nil {
		err = l.Validate()
	}
	return s.Validate(value), err
}

// place is one value of a document.
type place struct {
	path string
	set  func(v any)
	drop func() // nil for an element of a list
	old  any
}

func places(v any, path string) []place {
	var all []place
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			at := path + "." + key
			all = append(all, place{at, func(x any) { v[key] = x }, func() { delete(v, key) }, child})
			all = append(all, places(child, at)...)
		}
	case []any:
		for i, child := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			all = append(all, place{at, func(x any) { v[i] = x }, nil, child})
			all = append(all, places(child, at)...)
		}
	}
	return all
}

// TestSchemaAndLockAgree changes every value of a lock into many others: what one refuses, so must the
// other, but for what the schema says that it cannot say.
func TestSchemaAndLockAgree(t *testing.T) {
	s, tree := compiled(t), everything(t)
	if bySchema, byLock := judgements(t, s, tree); bySchema != nil || byLock != nil {
		t.Fatalf("the sample: schema %v, lock %v", bySchema, byLock)
	}
	values := []any{
		"x", "x y", "x\ny", "\x00", "\x7f", "é", ".", "..", "...", ".x", "..x", "a/b", "/a", "a/", "a//b", "a/../b", "a\\b", "a/.deb", ".deb", "a.deb", "../a.deb", "a.deb/b",
		"sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("A", 64), strings.Repeat("0", 64), strings.Repeat("0", 63), "h1:" + strings.Repeat("A", 43) + "=",
		"1.36", "v1.36", "1.36.3", "go1.26.7", "go1.26rc1", "go1.26", "linux/amd64", "linux/arm/v7", "linux", "A", strings.Repeat("a", 63), strings.Repeat("a", 64), "a-", "-a", "_a", strings.Repeat("a", 129),
		"2026-11-22", "2026-13-01", "2026-11-32", "2026-1-2", "2099-11-22T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T00:00:00+01:00",
		lock.Schema, "slipway.build/images/v1", -1, 0, 1, 7, 1.5, nil, true, []any{}, []any{"x"}, map[string]any{}, map[string]any{"x": "y"},
	}
	all := places(tree, "")
	if len(all) < 60 {
		t.Fatalf("only %d places", len(all))
	}
	tried := 0
	for _, p := range all {
		for _, v := range values {
			if _, text := p.old.(string); !text && isText(v) {
				continue // one wrong kind is as good as another
			}
			p.set(v)
			bySchema, byLock := judgements(t, s, tree)
			tried++
			if (bySchema == nil) != (byLock == nil) && !beyond(p.path, v, byLock) {
				t.Errorf("%s = %#v: schema %v, lock %v", p.path, v, bySchema, byLock)
			}
			p.set(p.old)
		}
		if p.drop != nil && p.path != ".images" { // which canonical bytes always have
			p.drop()
			if bySchema, byLock := judgements(t, s, tree); (bySchema == nil) != (byLock == nil) {
				t.Errorf("without %s: schema %v, lock %v", p.path, bySchema, byLock)
			}
			p.set(p.old)
		}
	}
	t.Logf("%d changes at %d places", tried, len(all))
}

func isText(v any) bool {
	text, ok := v.(string)
	return ok && text != "x"
}

// beyond are the differences that are meant: what a schema cannot say, and forms that are not
// canonical, which package lock reads and the schema does not describe.
func beyond(path string, value any, byLock error) bool {
	if byLock != nil {
		for _, only := range []string{"must sort after", "is not after issued", "is also that of"} {
			if strings.Contains(byLock.Error(), only) {
				return true
			}
		}
		return false
	}
	switch v := value.(type) {
	case map[string]any: // the same as a field that is left out
		return len(v) == 0 && (strings.HasSuffix(path, ".gzip") || strings.HasSuffix(path, ".evidence"))
	case []any:
		return len(v) == 0
	case int:
		return v == 0
	}
	return false
}
