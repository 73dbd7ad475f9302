package redact_test

import (
	"strings"
	"testing"

	"slipway.build/slipway/agent/redact"
)

func TestSecretsAreTakenOutAndTheRestStays(t *testing.T) {
	for _, test := range []struct{ text, secret, stays string }{
		{"before\n-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nafter", "abc", "after"},
		{"cut -----BEGIN PRIVATE KEY-----\nMIGHxyz", "MIGHxyz", "cut"},
		{"MIGHxyz\nAbc+/w==\n-----END EC PRIVATE KEY-----\nafter", "MIGHxyz", "after"},
		{"Authorization: Bearer eyJhbGciOi.J9", "eyJhbGciOi", "Authorization"},
		{"dial https://user:hunter2@host/path failed", "hunter2", "host/path failed"},
		{`etcd: --password=hunter2 rejected`, "hunter2", "rejected"},
		{`{"token":"abc123def"} done`, "abc123def", "done"},
		{"the join token-of-node was used", "token-of-node", "was used"},
	} {
		got := redact.Text(test.text, "token-of-node", "")
		if strings.Contains(got, test.secret) || !strings.Contains(got, test.stays) {
			t.Errorf("%q became %q", test.text, got)
		}
	}
	if plain := "image etcd: expected digest sha256:abc, found sha256:def"; redact.Text(plain) != plain {
		t.Errorf("%q was changed", plain)
	}
}
