package release

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"slipway.build/slipway/imagebuild/sign"
)

func TestALockIsSignedByOneKeyOrByTwo(t *testing.T) {
	dir := t.TempDir()
	newKey := func(name string) (*sign.Key, string) {
		key, err := sign.LocalKey(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return key, filepath.Join(dir, name, sign.LocalPublicFile)
	}
	old, oldPEM := newKey("old")
	next, nextPEM := newKey("next")
	raw, err := sound(t).YAML("header")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "images.yaml.sig")
	if err := Sign(raw, old, file, false); err != nil {
		t.Fatal(err)
	}
	if s := ReadSignature(raw, file, oldPEM); s.Problem != "" || s.KeyID != old.ID() {
		t.Errorf("%+v", s)
	}
	if s := ReadSignature(raw, file, nextPEM); s.Problem == "" || s.KeyID != "" {
		t.Errorf("a key that did not sign: %+v", s)
	}
	for range 2 { // once more adds nothing
		if err := Sign(raw, next, file, true); err != nil {
			t.Fatal(err)
		}
	}
	for key, pem := range map[*sign.Key]string{old: oldPEM, next: nextPEM} {
		if s := ReadSignature(raw, file, pem); s.Problem != "" || s.KeyID != key.ID() {
			t.Errorf("%+v", s)
		}
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Count(text, []byte("\n")) != 2 {
		t.Errorf("%q, %v", text, err)
	}
	if err := Sign([]byte("schema: x\n"), old, filepath.Join(dir, "none.sig"), false); err == nil {
		t.Error("something that is no lock was signed")
	}
	if _, err := os.Stat(filepath.Join(dir, "none.sig")); err == nil {
		t.Error("a signature was left behind")
	}
	if s := ReadSignature(raw, filepath.Join(dir, "none.sig"), oldPEM); s.Problem == "" {
		t.Error("a signature that is not there counts")
	}
	if s := ReadSignature(raw, file, filepath.Join(dir, "none.pub")); s.Problem == "" {
		t.Error("keys that are not there count")
	}
}
