package record_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

type ship struct {
	Name string
	Deck int
}

func open(t *testing.T) *record.Store {
	t.Helper()
	s, err := record.Open(filepath.Join(t.TempDir(), "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsPutIsReadAgainByAnotherStore(t *testing.T) {
	s := open(t)
	err := s.Update(t.Context(), func(tx *record.Tx) error {
		if err := tx.Put("ship", "b", ship{"Beagle", 2}); err != nil {
			return err
		}
		if err := tx.Put("ship", "a", ship{"Argo", 1}); err != nil {
			return err
		}
		got, err := record.List[ship](tx, "ship")
		if len(got) != 2 {
			t.Errorf("the transaction does not see its own changes: %v", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := record.Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.List[ship](again, "ship")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]ship{{"Argo", 1}, {"Beagle", 2}}, got); d != "" {
		t.Error(d)
	}
}

func TestAFailedUpdateChangesNothing(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	err := s.Update(t.Context(), func(tx *record.Tx) error {
		_ = tx.Put("ship", "a", ship{})
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if _, err := record.Get[ship](s, "ship", "a"); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestDeleteOfWhatIsGoneSucceeds(t *testing.T) {
	s := open(t)
	for range 2 {
		if err := s.Update(t.Context(), func(tx *record.Tx) error { return tx.Delete("ship", "a") }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIdsThatArePathsAreUnknownObjects(t *testing.T) {
	s := open(t)
	for _, id := range []string{"", "..", "../../etc/passwd", ".lock", "a/b"} {
		if _, err := record.Get[ship](s, "ship", id); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%q: got %v, want ErrNotFound", id, err)
		}
	}
}

func TestWhatAKilledWriterLeftIsOverwritten(t *testing.T) {
	s := open(t)
	half := filepath.Join(s.Dir(), ".next")
	if err := os.WriteFile(half, []byte(`{"Name": "half of something longer than what comes`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx *record.Tx) error { return tx.Put("ship", "a", ship{Name: "a"}) }); err != nil {
		t.Fatal(err)
	}
	if got, err := record.Get[ship](s, "ship", "a"); err != nil || got.Name != "a" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestFilesLeftHalfWrittenAreNotObjects(t *testing.T) {
	s := open(t)
	dir := filepath.Join(s.Dir(), "ship")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".a.json123456"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := record.List[ship](s, "ship")
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSeveralProcessesNeverLoseAnUpdate(t *testing.T) {
	if dir := os.Getenv("RECORD_TEST_DIR"); dir != "" {
		s, err := record.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		count(t, s, 25)
		return
	}
	s := open(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSeveralProcessesNeverLoseAnUpdate$")
			cmd.Env = append(os.Environ(), "RECORD_TEST_DIR="+s.Dir())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		wg.Go(func() { count(t, s, 25) })
	}
	wg.Wait()
	got, err := record.Get[ship](s, "ship", "counter")
	if err != nil || got.Deck != 150 {
		t.Errorf("counted to %d, want 150 (%v)", got.Deck, err)
	}
}

func count(t *testing.T, s *record.Store, n int) {
	for range n {
		err := s.Update(context.Background(), func(tx *record.Tx) error {
			v, err := record.Get[ship](tx, "ship", "counter")
			if err != nil && !errors.Is(err, record.ErrNotFound) {
				return err
			}
			v.Deck++
			v.Name = strconv.Itoa(v.Deck)
			return tx.Put("ship", "counter", v)
		})
		if err != nil {
			t.Error(err)
		}
	}
}
