package secrets_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/redact"
	"slipway.build/slipway/agent/secrets"
)

func TestNoPartOfAValueThatLooksRandomIsSeen(t *testing.T) {
	dir := t.TempDir()
	key := strings.Repeat("MIIEvQ9bADANBgkqhkiG9w0BAQEFAASC", 2)
	config := "kind: EncryptionConfiguration\nkeys:\n- secret: c2VjcmV0IGlzIHNlY3VyZSwgb3IgaXMgaXQ/\n"
	for name, value := range map[string]string{"pem@1": key + "\n" + key + "x1\n", "config@2": config, "short@1": "hunter2!"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	values := (&secrets.Keeper{Dir: dir}).Values()
	for _, want := range []string{key, "c2VjcmV0IGlzIHNlY3VyZSwgb3IgaXMgaXQ/"[:35], "hunter2!"} {
		if !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, want) }) {
			t.Errorf("%q is not among what must not be seen", want)
		}
	}
	log := "a line of it: " + key + "\nthe key is c2VjcmV0IGlzIHNlY3VyZSwgb3IgaXMgaXQ/ and hunter2!\nkind EncryptionConfiguration is unknown\n"
	got := redact.Text(log, values...)
	if strings.Contains(got, key) || strings.Contains(got, "c2Vjcm") || strings.Contains(got, "hunter2") {
		t.Errorf("left: %s", got)
	}
	if !strings.Contains(got, "EncryptionConfiguration is unknown") {
		t.Errorf("ordinary words are gone: %s", got)
	}
	if values := (&secrets.Keeper{Dir: filepath.Join(dir, "none")}).Values(); len(values) != 0 {
		t.Errorf("of no directory: %v", values)
	}
}
