package conformance

import (
	"slices"
	"strings"
	"testing"
)

func TestTheSuitesListIsRead(t *testing.T) {
	const text = `- testname: One
  codename: '[sig-x] one thing should work on more than one
    line [Conformance]'
  file: a.go
- testname: Two
  codename: '[sig-x] two ''quoted'' [Conformance]'
`
	got, err := parseList([]byte(text))
	want := []string{"[sig-x] one thing should work on more than one line [Conformance]", "[sig-x] two 'quoted' [Conformance]"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for name, bad := range map[string]string{
		"no list":       "one: two\n",
		"nothing":       "",
		"another name":  "- codename: something else\n",
		"a broken file": "- codename: [",
	} {
		if got, err := parseList([]byte(bad)); err == nil || !strings.Contains(err.Error(), "list of conformance tests") {
			t.Errorf("%s gave %q, %v", name, got, err)
		}
	}
}
