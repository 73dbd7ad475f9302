package hooks

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/redact"
)

// FuzzAnswer feeds foreign bytes as what a hook has said: whatever it is becomes a signal that
// Heat can take, in which no secret input is left.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"deploy_stdout": "x", "deploy_status_code": "7", "result": {"a": 1}}`, "words", 0)
	f.Add(`{"deploy_status_code": null, "deploy_stderr": 4}`, "\x00\xff", 1)
	f.Add(`[1]`, "hunter2-is-the-password", -9)
	f.Fuzz(func(t *testing.T, stdout, stderr string, status int) {
		const secret = "hunter2-is-the-password"
		value, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		d := metadata.Deployment{Inputs: []metadata.Input{{Name: "admin_password", Value: value}}}
		result := answer(d, outcome{stdout: stdout, stderr: stderr, status: status})
		if strings.Contains(result.Stdout, secret) || strings.Contains(result.Stderr, secret) {
			t.Fatalf("%q is left (%s)", secret, redact.Mask)
		}
		body, err := result.Encode()
		if err != nil || !json.Valid(body) || !utf8.Valid(body) || len(body) > notify.MaxPayload {
			t.Fatalf("%d bytes: %.200q: %v", len(body), body, err)
		}
	})
}
