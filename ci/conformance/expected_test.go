package conformance

import (
	"regexp"
	"strings"
	"testing"

	"slipway.build/slipway/ci/conformance/programs"
)

func TestTheCommittedListsAreRead(t *testing.T) {
	failures, err := ExpectedFailures()
	if err != nil {
		t.Fatal(err)
	}
	focus, err := FocusTests()
	if err != nil {
		t.Fatal(err)
	}
	if len(focus) < 12 {
		t.Errorf("the focus has only %d tests", len(focus))
	}
	if n, err := Tests(programs.Kubernetes); err != nil || n < 400 {
		t.Errorf("%d tests, %v", n, err)
	}
	for _, f := range failures {
		for _, n := range focus {
			if n == f.Name {
				t.Errorf("the focus has a test that is expected to fail: %s", n)
			}
		}
	}
}

func TestAnUnknownVersionHasNoCount(t *testing.T) {
	if n, err := Tests("v9.9.9"); err == nil {
		t.Errorf("got %d", n)
	}
}

func TestExpectedFailuresAreChecked(t *testing.T) {
	const good = "failures:\n- {name: 'a [Conformance]', until: calico, reason: because}\n"
	if all, err := parseExpected([]byte(good)); err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	tests := []struct{ name, text, want string }{
		{"an unknown field", "failures: []\nothers: []\n", "others"},
		{"no list", "", "EOF"},
		{"another test", strings.ReplaceAll(good, "[Conformance]", ""), "no conformance test's"},
		{"another thing to wait for", strings.ReplaceAll(good, "calico", "later"), "neither calico nor addons"},
		{"no reason", strings.ReplaceAll(good, "because", "' '"), "no reason"},
		{"one twice", good + strings.TrimPrefix(good, "failures:\n"), "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseExpected([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something with %q", err, tt.want)
			}
		})
	}
}

func TestTheFocusIsChecked(t *testing.T) {
	if _, err := parseFocus("# nothing\n\n"); err == nil {
		t.Error("an empty focus is taken")
	}
	if _, err := parseFocus("a [Conformance]\nb\n"); err == nil || !strings.Contains(err.Error(), "focus.txt:2") {
		t.Errorf("got %v", err)
	}
}

func TestTheFocusPicksItsTestsOnly(t *testing.T) {
	re := regexp.MustCompile(focusOf([]string{"a *b* [Conformance]", "c (d) [Conformance]"}))
	for text, want := range map[string]bool{"a *b* [Conformance]": true, "c (d) [Conformance]": true, "a b [Conformance]": false, "c d C": false} {
		if re.MatchString(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
