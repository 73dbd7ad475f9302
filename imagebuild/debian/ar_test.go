package debian

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// members reads an archive to its end.
func members(raw []byte) ([]string, error) {
	a, err := newArchive(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var all []string
	for {
		name, content, err := a.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return all, err
		}
		all = append(all, name, string(b))
	}
}

func TestMembersOfAnArchiveAreRead(t *testing.T) {
	for _, tt := range []struct {
		name    string
		members []string
	}{
		{"none", nil},
		{"of even and odd sizes", []string{"a", "12", "b", "123", "c", "", "d", "1"}},
		{"of a name that fills its field", []string{"sixteen-letters.", "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := members(arOf(tt.members...))
			if err != nil || !slices.Equal(got, tt.members) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("with the slash that GNU puts after names", func(t *testing.T) {
		got, err := members(arOf("data.tar/", "x"))
		if err != nil || !slices.Equal(got, []string{"data.tar", "x"}) {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("without the byte after an odd one at the end", func(t *testing.T) {
		raw := arOf("a", "1")
		if got, err := members(raw[:len(raw)-1]); err != nil || len(got) != 2 {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestAMemberThatIsNotReadIsPassedOver(t *testing.T) {
	a, err := newArchive(bytes.NewReader(arOf("a", "123", "b", "45")))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.next(); err != nil {
		t.Fatal(err)
	}
	name, content, err := a.next()
	if b, _ := io.ReadAll(content); name != "b" || string(b) != "45" || err != nil {
		t.Errorf("got %q, %q, %v", name, b, err)
	}
}

func TestADamagedArchiveIsRefused(t *testing.T) {
	good := string(arOf("one", "1234", "two", "56"))
	size := strings.Index(good, "4         `\n")
	for _, tt := range []struct{ name, raw, want string }{
		{"nothing", "", "no ar archive"},
		{"another file", "PK\x03\x04 and more of it", "no ar archive"},
		{"half of the magic", arMagic[:5], "no ar archive"},
		{"a header that is cut off", good[:len(arMagic)+30], "unexpected EOF"},
		{"a member that is cut off", good[:len(arMagic)+arHeader+3], "1 bytes are missing"},
		{"the last member cut off", good[:len(good)-1], "1 bytes are missing"},
		{"a size with a sign", good[:size-1] + "+4        `\n" + good[size+11:], `damaged at member "one"`},
		{"a negative size", good[:size] + "-4        `\n" + good[size+12:], "damaged"},
		{"a size that is none", good[:size] + "four      `\n" + good[size+12:], "damaged"},
		{"no size", good[:size] + "          `\n" + good[size+12:], "damaged"},
		{"a size of more than there is", good[:size] + "9999999999`\n" + good[size+12:], "bytes are missing"},
		{"a header with another end", good[:size] + "4         ??" + good[size+12:], "damaged"},
		{"bytes between members", good[:len(arMagic)+arHeader+4] + "x" + good[len(arMagic)+arHeader+4:], "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := members([]byte(tt.raw))
			if err == nil {
				t.Fatalf("read as %q", got)
			}
			refused(t, err, tt.want)
		})
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(arOf("one", "1234", "two", "5"))
	f.Add(arOf("debian-binary", "2.0\n", "control.tar.xz", "", "data.tar.xz", "x"))
	f.Add([]byte(arMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := members(raw)
		if err != nil {
			return
		}
		var names []string
		for i := 0; i < len(got); i += 2 {
			if strings.ContainsAny(got[i], " /") || got[i] == "" || len(got[i]) > 15 {
				return // written otherwise
			}
			names = append(names, got[i], got[i+1])
		}
		again, err := members(arOf(names...))
		if err != nil || !slices.Equal(again, names) {
			t.Errorf("%q became %q, %v", names, again, err)
		}
	})
}
