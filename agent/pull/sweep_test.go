package pull

import (
	"os"
	"path/filepath"
	"testing"
)

func TestASweepLeavesAloneWhatIsBeingFetched(t *testing.T) {
	p := &Puller{Store: &Store{Dir: t.TempDir()}}
	half := filepath.Join(p.Store.Dir, tempPrefix+"half")
	if err := os.Mkdir(half, 0o755); err != nil {
		t.Fatal(err)
	}
	p.fetching.RLock()
	if err := p.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); err != nil {
		t.Errorf("beside a fetch: %v", err)
	}
	p.fetching.RUnlock()
	if err := p.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("after it: %v", err)
	}
}
