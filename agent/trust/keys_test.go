package trust_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/imagebuild/lock"
)

// deaf learns no plan keys.
type deaf struct{}

func (deaf) LearnPlanKeys(context.Context, [][]byte) error { return nil }

// statement signs a statement of lock keys.
func statement(t *testing.T, key *ecdsa.PrivateKey, number int64, keys ...lock.Key) protocol.Signed {
	t.Helper()
	s := lock.KeyStatement{Schema: lock.KeysSchema, Number: number, Issued: "2026-11-21T17:00:00Z", Keys: keys}
	raw, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	der, err := ecdsa.SignASN1(nil, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return protocol.Signed{Bytes: raw, Signature: []byte(base64.StdEncoding.EncodeToString(der))}
}

func TestLockKeysAreLearntInTheirOrderAndKept(t *testing.T) {
	old, oldPEM := testimage.Key(t)
	next, nextPEM := testimage.Key(t)
	third, thirdPEM := testimage.Key(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock.pub"), oldPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "state", trust.LockKeysFile)
	learn := func(statements ...protocol.Signed) error {
		verifier := &trust.Verifier{TrustDir: dir, LockKeys: file} // a new one: only what is kept counts
		return verifier.Learn(t.Context(), deaf{}, protocol.Delivery{LockKeys: statements})
	}
	accepts := func(key *ecdsa.PrivateKey, number int64) bool {
		raw, signature, digest := testimage.LockIssued(t, key, number, time.Now(), time.Hour)
		verifier := &trust.Verifier{TrustDir: dir, LockKeys: file}
		_, err := verifier.VerifyLock(protocol.Delivery{LockBytes: raw, LockSignature: signature}, digest)
		if err != nil && !fault.IsTerminal(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	addNext := lock.Key{ID: lock.KeyID(&next.PublicKey), Public: string(nextPEM)}
	addThird := lock.Key{ID: lock.KeyID(&third.PublicKey), Public: string(thirdPEM)}
	endOld := lock.Key{ID: lock.KeyID(&old.PublicKey), Until: 3}
	first := statement(t, old, 1, addNext)
	second := statement(t, next, 2, addNext, endOld)

	if accepts(next, 2) {
		t.Error("a key counts that nobody has announced")
	}
	if err := learn(first); err != nil {
		t.Fatal(err)
	}
	if !accepts(next, 2) || !accepts(old, 9) {
		t.Error("during the overlap both keys count")
	}
	if err := learn(first, second); err != nil {
		t.Fatal(err)
	}
	if !accepts(next, 9) || !accepts(old, 3) || accepts(old, 4) {
		t.Error("after its end the old key counts for old locks only")
	}
	// Replays change nothing, and neither the revoked key nor a stranger says what counts.
	if err := learn(first); err != nil || accepts(old, 4) {
		t.Errorf("an older statement: %v", err)
	}
	for name, bad := range map[string]protocol.Signed{
		"the revoked key": statement(t, old, 3, addThird),
		"a stranger":      statement(t, third, 3, addThird),
		"damage":          {Bytes: first.Bytes[1:], Signature: first.Signature},
	} {
		if err := learn(bad); !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", name, err)
		}
		if accepts(third, 9) || !accepts(next, 9) {
			t.Errorf("%s changed what is believed", name)
		}
	}
	// A node that has missed statements gets all of them at once.
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if err := learn(second); !fault.IsTerminal(err) || !strings.Contains(err.Error(), "by none of the 1 trusted keys") {
		t.Errorf("a later statement without the earlier: %v", err)
	}
	if err := learn(first, second, statement(t, next, 3, addNext, endOld, addThird)); err != nil || !accepts(third, 9) {
		t.Errorf("the whole chain: %v", err)
	}
}
