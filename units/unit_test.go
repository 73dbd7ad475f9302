package units

import (
	"errors"
	"strings"
	"testing"
)

func TestAddKeepsOneSectionOfAName(t *testing.T) {
	u := Unit{Name: "slipway-a.service"}
	u.Add("Unit", "Description", "a")
	u.Add("Service", "ExecStart", "/bin/true")
	u.Add("Unit", "After", "network.target")
	if len(u.Sections) != 2 || len(u.Sections[0].Options) != 2 {
		t.Fatalf("sections: %+v", u.Sections)
	}
	if v, ok := u.Last("Unit", "After"); !ok || v != "network.target" {
		t.Errorf("After = %q, %v", v, ok)
	}
	if _, ok := u.Last("Unit", "Wants"); ok {
		t.Error("Wants is said to be set")
	}
}

func TestRenderRefusesWhatWouldNotSurvive(t *testing.T) {
	for name, c := range map[string]struct{ unit, section, option, value string }{
		"a name without a unit type":     {"slipway-a", "Unit", "After", "x"},
		"a name that is only a suffix":   {".service", "Unit", "After", "x"},
		"a name with a slash":            {"a/b.service", "Unit", "After", "x"},
		"a section name with a bracket":  {"a.service", "Un]it", "After", "x"},
		"an option name with a space":    {"a.service", "Unit", "Af ter", "x"},
		"an option name that is empty":   {"a.service", "Unit", "", "x"},
		"a value with a line break":      {"a.service", "Unit", "After", "x\nExecStart=/evil"},
		"a value with a carriage return": {"a.service", "Unit", "After", "x\ry"},
		"a value that continues":         {"a.service", "Unit", "After", `x\`},
		"a value with space at its end":  {"a.service", "Unit", "After", "x "},
		"a value that is not UTF-8":      {"a.service", "Unit", "After", "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			u := Unit{Name: c.unit}
			u.Add(c.section, c.option, c.value)
			if text, err := u.Render(); !errors.Is(err, ErrInvalid) {
				t.Errorf("rendered %q, error %v", text, err)
			}
		})
	}
	u := Unit{Name: "a.service", Sections: []Section{{Name: "Unit"}, {Name: "Unit"}}}
	if err := u.Validate(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two sections of one name: %v", err)
	}
}
