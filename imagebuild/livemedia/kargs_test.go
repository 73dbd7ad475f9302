package livemedia

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestKernelArgumentsAreTheSameInEveryFileAfterAChange(t *testing.T) {
	for name, f := range map[string]form{"modern": {}, "legacy": {legacy: true}} {
		t.Run(name, func(t *testing.T) {
			ctx, iso := context.Background(), image(t, f)
			before := bytesOf(t, iso)
			edit := KargsEdit{Append: []string{"console=ttyS0,115200n8", "quiet"}, Delete: []string{"ignition.firstboot"}, Replace: []string{"ignition.platform.id=openstack"}}
			got, err := SetKargs(ctx, iso, edit, Target{})
			if err != nil {
				t.Fatal(err)
			}
			want := "mitigations=auto,nosmt coreos.liveiso=fedora-coreos-38.20230709.dev.0 ignition.platform.id=openstack console=ttyS0,115200n8 quiet"
			if got != want {
				t.Errorf("arguments = %q", got)
			}
			m, _, err := Open(iso)
			if err != nil {
				t.Fatal(err)
			}
			if m.Kargs.Current != want || m.Kargs.Default != defaultArgs || len(m.Kargs.Areas) != 2 || m.Kargs.Size != kargsSize {
				t.Errorf("kargs = %+v", m.Kargs)
			}
			after := bytesOf(t, iso)
			for _, a := range m.Kargs.Areas {
				if got := string(after[a.Offset:a.end()]); got != want+"\n"+strings.Repeat("#", kargsSize-len(want)-1) {
					t.Errorf("%s holds %q", a.Region, got)
				}
			}
			if args, err := SetKargs(ctx, iso, KargsEdit{Reset: true}, Target{InPlace: true}); err != nil || args != defaultArgs {
				t.Errorf("reset: %q, %v", args, err)
			}
			if !bytes.Equal(bytesOf(t, iso), before) {
				t.Error("after a reset the image is not what it was")
			}
		})
	}
}

func TestEditsOfKernelArguments(t *testing.T) {
	for name, c := range map[string]struct {
		current string
		edit    KargsEdit
		want    string // empty: an error
	}{
		"append":                        {"a b=1", KargsEdit{Append: []string{"c"}}, "a b=1 c"},
		"append once more":              {"a", KargsEdit{Append: []string{"a"}}, "a a"},
		"delete one of two":             {"a b a", KargsEdit{Delete: []string{"a"}}, "b a"},
		"delete what is not there":      {"a=1", KargsEdit{Delete: []string{"a"}}, ""},
		"replace a value":               {"a=1 b", KargsEdit{Replace: []string{"a=2"}}, "a=2 b"},
		"replace one of several":        {"a=1 a=2", KargsEdit{Replace: []string{"a=2=3"}}, "a=1 a=3"},
		"replace which of several":      {"a=1 a=2", KargsEdit{Replace: []string{"a=3"}}, ""},
		"replace by what has a sign":    {"root=x", KargsEdit{Replace: []string{"root=UUID=7"}}, "root=UUID=7"},
		"replace what is not there":     {"a=1", KargsEdit{Replace: []string{"b=2"}}, ""},
		"replace without a value":       {"a=1", KargsEdit{Replace: []string{"a"}}, ""},
		"reset and append":              {"a", KargsEdit{Reset: true, Append: []string{"z"}}, "d e z"},
		"two in one":                    {"a", KargsEdit{Append: []string{"b c"}}, ""},
		"a line end":                    {"a", KargsEdit{Append: []string{"b\nmenuentry"}}, ""},
		"the padding":                   {"a", KargsEdit{Append: []string{"b#"}}, ""},
		"a variable of the boot loader": {"a", KargsEdit{Append: []string{"b=${x}"}}, ""},
		"a letter that is none":         {"a", KargsEdit{Append: []string{"b=ä"}}, ""},
		"nothing":                       {"a", KargsEdit{Append: []string{""}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.edit.Apply(&Kargs{Current: c.current, Default: "d e"})
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if err != nil && !errors.Is(err, ErrKargs) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestKernelArgumentsThatDoNotFitAreRefusedWithBothNumbers(t *testing.T) {
	ctx, iso := context.Background(), image(t, form{})
	before := bytesOf(t, iso)
	room := kargsSize - len(defaultArgs) - 2 // a blank and the line's end
	_, err := SetKargs(ctx, iso, KargsEdit{Append: []string{strings.Repeat("x", room+1)}}, Target{})
	if !errors.Is(err, ErrTooBig) || !strings.Contains(err.Error(), "1140") || !strings.Contains(err.Error(), "1139") {
		t.Errorf("error = %v", err)
	}
	if !bytes.Equal(bytesOf(t, iso), before) {
		t.Error("the image has changed")
	}
	if _, err := SetKargs(ctx, iso, KargsEdit{Append: []string{strings.Repeat("x", room)}}, Target{}); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	if _, err := SetKargs(ctx, image(t, form{noKargs: true}), KargsEdit{Append: []string{"x"}}, Target{}); !errors.Is(err, ErrKargs) {
		t.Errorf("an image without areas: %v", err)
	}
}
