package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

func TestLockKeysAreRotatedByStatements(t *testing.T) {
	local := func() *sign.Key {
		t.Helper()
		key, err := sign.LocalKey(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	public := func(key *sign.Key) []byte {
		t.Helper()
		text, err := key.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	p := Paths{State: t.TempDir()}
	old, next := local(), local()
	baked, now := public(old), time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	if s, err := Statement(p); s != nil || err != nil {
		t.Fatalf("before the first: %v %v", s, err)
	}
	if _, err := IssueKeys(p, next, baked, KeyChange{Add: public(next)}, now); err == nil || !strings.Contains(err.Error(), "nodes would refuse it") {
		t.Errorf("a key that adds itself: %v", err)
	}
	if files, _ := os.ReadDir(p.KeysDir()); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if s, err := IssueKeys(p, old, baked, KeyChange{Add: public(next), From: 5}, now); err != nil || s.Number != 1 {
		t.Fatalf("the new key: %+v, %v", s, err)
	}
	s, err := IssueKeys(p, next, baked, KeyChange{Until: map[string]int64{old.ID(): 7}}, now)
	if err != nil || s.Number != 2 || len(s.Keys) != 2 {
		t.Fatalf("the end of the old one: %+v, %v", s, err)
	}
	if _, err := IssueKeys(p, old, baked, KeyChange{Until: map[string]int64{next.ID(): 7}}, now); err == nil {
		t.Error("the revoked key says what counts")
	}
	trusted, err := lock.NewTrust(baked, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key    *sign.Key
		number int64
		good   bool
	}{{old, 7, true}, {old, 8, false}, {next, 4, false}, {next, 8, true}} {
		l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
		l.Issue(c.number, now, time.Hour)
		raw, err := l.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		signature, err := c.key.Sign(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trusted.Verify(raw, signature); (err == nil) != c.good {
			t.Errorf("lock %d by %s: %v", c.number, c.key.ID(), err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(p.KeysDir(), "*")); len(files) != 4 {
		t.Errorf("files %v", files)
	}
}
