package osimage

import (
	"bytes"
	"slices"
	"testing"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

func TestTheLayerFollowsFromTheKeysAlone(t *testing.T) {
	one, err := sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	noted, err := one.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := lock.EncodePublicKey(one.Public())
	if err != nil {
		t.Fatal(err)
	}
	other := contents(t).TrustKeys
	want, err := trustKeys(slices.Concat(noted, other))
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]byte{
		"in another order": slices.Concat(other, noted), "without notes": slices.Concat([]byte(bare), other), "twice": slices.Concat(other, noted, []byte("a note\n"+bare)),
	} {
		if got, err := trustKeys(keys); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %s (%v), want %s", name, got, err, want)
		}
	}
	keys, err := lock.PublicKeys(want)
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys (%v)", len(keys), err)
	}
	if _, err := trustKeys([]byte("none")); err == nil {
		t.Error("no key is a key")
	}
}
