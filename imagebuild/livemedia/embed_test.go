package livemedia

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func content() Content {
	return Content{
		Config:  []byte(`{"ignition":{"version":"3.6.0"}}` + "\n"),
		Network: map[string][]byte{"eth0.nmconnection": []byte("[connection]\nid=eth0\n"), "bond0.nmconnection": []byte("[connection]\nid=bond0\n")},
	}
}

func TestWhatIsEmbeddedComesOutAgainAndNothingElseChanges(t *testing.T) {
	for name, f := range forms {
		t.Run(name, func(t *testing.T) {
			iso := image(t, f)
			before := bytesOf(t, iso)
			used, err := Embed(context.Background(), iso, content(), false, Target{})
			if err != nil {
				t.Fatal(err)
			}
			m, got, err := Open(iso)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, content()) {
				t.Errorf("extracted %+v", got)
			}
			if m.Legacy != f.legacy || m.Ignition.Length != areaSize || m.Kargs == nil || m.Kargs.Default != defaultArgs || m.Kargs.Current != defaultArgs || m.Volume != "fedora-coreos-38.2023070" {
				t.Errorf("media = %+v", m)
			}
			if f.offset == 0 && !m.Legacy && !m.Features["installer-config"] {
				t.Errorf("features = %v", m.Features)
			}
			after := bytesOf(t, iso)
			area := after[m.Ignition.Offset:m.Ignition.end()]
			if !zero(area[used:]) || zero(area[:used]) {
				t.Errorf("the %d bytes used are not followed by zeros alone", used)
			}
			clear(area)
			if !bytes.Equal(after, before) {
				t.Error("bytes outside the area have changed")
			}
			if err := Remove(context.Background(), iso, Target{InPlace: true}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytesOf(t, iso), before) {
				t.Error("the image without the configuration is not what it was")
			}
		})
	}
}

func TestOtherProgramsReadWhatIsEmbedded(t *testing.T) {
	iso := image(t, form{})
	if _, err := Embed(context.Background(), iso, content(), false, Target{}); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	run := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-euc", script)
		cmd.Dir = out
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, b)
		}
		return string(b)
	}
	// xorriso finds the area by the path, xz and cpio unpack it.
	run("xorriso -osirrox on -indev " + iso + " -extract /images/ignition.img area 2>/dev/null")
	if check := run("xz --robot --list area --format=xz 2>/dev/null | awk '$1==\"file\" {print $7}' || true; xz --single-stream -dc area >area.cpio; head -c 8 area | od -An -tx1"); !strings.Contains(check, "fd 37 7a 58 5a 00 00 01") {
		t.Errorf("the stream begins with %s, want the check CRC32", check)
	}
	list := run("cpio -itvn <area.cpio 2>/dev/null")
	want := []string{"-rw------- 1 0 0 33 config.ign", "drwxr-xr-x 1 0 0 0 etc", "drwxr-xr-x 1 0 0 0 etc/coreos-firstboot-network",
		"-rw------- 1 0 0 22 etc/coreos-firstboot-network/bond0.nmconnection", "-rw------- 1 0 0 21 etc/coreos-firstboot-network/eth0.nmconnection"}
	for i, line := range strings.Split(strings.TrimSpace(list), "\n") {
		fields := strings.Fields(line)
		got := strings.Join(append(fields[:5:5], fields[len(fields)-1]), " ")
		if i >= len(want) || got != want[i] {
			t.Errorf("member %d = %s", i, got)
		}
	}
	if got := run("mkdir x && cd x && cpio -idm --quiet <../area.cpio && cat config.ign"); got != string(content().Config) {
		t.Errorf("cpio unpacks %q", got)
	}
}

func TestAnAreaThatHoldsSomethingIsNotOverwrittenUnforced(t *testing.T) {
	ctx, iso := context.Background(), image(t, form{})
	if _, err := Embed(ctx, iso, content(), false, Target{}); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, iso)
	other := Content{Config: []byte(`{"ignition":{"version":"3.3.0"}}`)}
	if _, err := Embed(ctx, iso, other, false, Target{}); !errors.Is(err, ErrEmbedded) {
		t.Errorf("error = %v", err)
	}
	if !bytes.Equal(bytesOf(t, iso), before) {
		t.Error("the image has changed")
	}
	copied := filepath.Join(t.TempDir(), "other.iso")
	if _, err := Embed(ctx, iso, other, true, Target{Output: copied}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesOf(t, iso), before) {
		t.Error("the original has changed")
	}
	if _, got, err := Open(copied); err != nil || !reflect.DeepEqual(got, other) {
		t.Errorf("the copy has %+v, %v", got, err)
	}
}

func TestWhatDoesNotFitIsRefusedWithBothNumbers(t *testing.T) {
	iso := image(t, form{})
	before := bytesOf(t, iso)
	noise := make([]byte, 300_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	_, err := Embed(context.Background(), iso, Content{Config: noise}, false, Target{})
	if !errors.Is(err, ErrTooBig) || !strings.Contains(err.Error(), "262144") || !strings.Contains(err.Error(), "300") {
		t.Errorf("error = %v", err)
	}
	if !bytes.Equal(bytesOf(t, iso), before) {
		t.Error("the image has changed")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(iso), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatIsNoLiveImageIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no image\n"), 10000), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		want error
	}{
		"a text":                         {text, ErrNotLive},
		"an ISO without an area":         {image(t, form{noIgnInfo: true, noIgnition: true}), ErrNotLive},
		"an area that does not exist":    {image(t, form{noIgnition: true}), ErrDamaged},
		"kernel arguments that differ":   {image(t, form{grubArgs: "quiet" + strings.Repeat(" ", len(defaultArgs)-5)}), ErrDiffer},
		"a file that is not there":       {filepath.Join(dir, "none"), os.ErrNotExist},
		"a directory":                    {dir, nil},
		"an image that is cut off":       {cutOff(t, image(t, form{})), ErrDamaged},
		"an area with something unknown": {scribbled(t, image(t, form{})), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Open(c.file)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			if _, err := Embed(context.Background(), c.file, content(), false, Target{}); err == nil {
				t.Error("embed: no error")
			}
		})
	}
}

func cutOff(t *testing.T, iso string) string {
	if err := os.Truncate(iso, 40_000); err != nil {
		t.Fatal(err)
	}
	return iso
}

func scribbled(t *testing.T, iso string) string {
	m, _, err := Open(iso)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(iso, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("scribble"), m.Ignition.Offset+m.Ignition.Length-8); err != nil {
		t.Fatal(err)
	}
	return iso
}

func TestOnlyWhatMakesSenseIsEmbedded(t *testing.T) {
	iso := image(t, form{})
	for name, c := range map[string]Content{
		"nothing":                {},
		"an empty configuration": {Config: []byte(" \n")},
		"a path as a name":       {Network: map[string][]byte{"../x.nmconnection": nil}},
		"another kind of file":   {Network: map[string][]byte{"eth0.network": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Embed(context.Background(), iso, c, false, Target{}); err == nil {
				t.Error("accepted")
			}
		})
	}
}
