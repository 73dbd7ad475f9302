package livemedia

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// half does what a change in place does until it is killed in the middle of writing.
func half(t *testing.T, iso string) {
	t.Helper()
	in, err := openLocked(iso, os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m, err := Inspect(in, in.size)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := content().encode(m.Ignition)
	if err != nil {
		t.Fatal(err)
	}
	killed := errors.New("killed")
	func() {
		defer func() { _ = recover() }()
		_ = inPlace(iso, in, []patch{{m.Ignition, b}}, func(*os.File) error {
			if _, err := in.WriteAt(make([]byte, 30), m.Ignition.Offset+20); err != nil {
				t.Error(err)
			}
			panic(killed)
		})
	}()
}

func TestAChangeInPlaceThatWasCutOffIsUndone(t *testing.T) {
	for name, undo := range map[string]func(iso string) error{
		"by recover": func(iso string) error {
			done, err := Recover(iso)
			if !done {
				return errors.Join(err, errors.New("nothing was done"))
			}
			return err
		},
		"by the next change, which fails": func(iso string) error {
			if _, err := SetKargs(context.Background(), iso, KargsEdit{Delete: []string{"none"}}, Target{}); !errors.Is(err, ErrKargs) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			iso := image(t, form{})
			before := bytesOf(t, iso)
			half(t, iso)
			if bytes.Equal(bytesOf(t, iso), before) {
				t.Fatal("the test changes nothing")
			}
			link := filepath.Join(t.TempDir(), "link.iso")
			if err := os.Symlink(iso, link); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{iso, link} {
				if _, _, err := Open(name); !errors.Is(err, errInterrupted) {
					t.Errorf("open %s: %v", name, err)
				}
			}
			if err := undo(iso); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytesOf(t, iso), before) {
				t.Error("the image is not what it was")
			}
			if again, err := Recover(iso); again || err != nil {
				t.Errorf("a second time: %v, %v", again, err)
			}
			if _, err := Embed(context.Background(), iso, content(), false, Target{InPlace: true}); err != nil {
				t.Error(err)
			}
			if _, c, err := Open(iso); err != nil || !reflect.DeepEqual(c, content()) {
				t.Errorf("afterwards: %+v, %v", c, err)
			}
		})
	}
}

func TestAJournalThatIsNotThisImagesIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":          "x",
		"another size":     `{"size":7}`,
		"outside":          `{"size":SIZE,"old":[{"offset":0,"length":1,"sha256":"4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a","data":"AQ=="}]}`,
		"damaged contents": `{"size":SIZE,"old":[{"offset":40000,"length":1,"sha256":"00","data":"AQ=="}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			iso := image(t, form{})
			before := bytesOf(t, iso)
			text = strings.ReplaceAll(text, "SIZE", strconv.Itoa(len(before)))
			if err := os.WriteFile(journalOf(iso), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Recover(iso); err == nil {
				t.Error("accepted")
			}
			if !bytes.Equal(bytesOf(t, iso), before) {
				t.Error("the image has changed")
			}
		})
	}
}

func TestTwoChangesOfOneImageDoNotMeet(t *testing.T) {
	iso := image(t, form{})
	in, err := openLocked(iso, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for _, to := range []Target{{}, {InPlace: true}, {Output: filepath.Join(t.TempDir(), "x.iso")}} {
		if _, err := Embed(context.Background(), iso, content(), false, to); !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Errorf("%+v: %v", to, err)
		}
	}
}

func TestAnImageReachedByALinkIsChangedItself(t *testing.T) {
	iso := image(t, form{})
	link := filepath.Join(t.TempDir(), "link.iso")
	if err := os.Symlink(iso, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(iso, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Embed(context.Background(), link, content(), false, Target{}); err != nil {
		t.Fatal(err)
	}
	if _, c, err := Open(iso); err != nil || c.Empty() {
		t.Errorf("%+v, %v", c, err)
	}
	if st, err := os.Stat(iso); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v", st.Mode(), err)
	}
}

func TestAnInterruptedCopyLeavesNothing(t *testing.T) {
	iso := image(t, form{})
	before := bytesOf(t, iso)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Embed(ctx, iso, content(), false, Target{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if !bytes.Equal(bytesOf(t, iso), before) {
		t.Error("the image has changed")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(iso), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
