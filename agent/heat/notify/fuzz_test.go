package notify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"slipway.build/slipway/agent/heat/notify"
)

// FuzzEncode makes signals of foreign bytes, also of more than a signal may hold: each is one
// that Heat takes, with the status and the end of what was said.
func FuzzEncode(f *testing.F) {
	f.Add("out", "err", "value", 0, uint32(1))
	f.Add("\x00\x01\xff", "äöü", "\\\"", 7, uint32(400_000))
	f.Add("漢字", "", strings.Repeat("\x1f", 20), -9, uint32(300_000))
	f.Fuzz(func(t *testing.T, stdout, stderr, value string, status int, times uint32) {
		const most = 2 << 20
		long := func(text string) string {
			return strings.Repeat(text, min(int(times), most/max(1, len(text)))) + text
		}
		result := notify.Result{Stdout: long(stdout), Stderr: long(stderr), Status: status, Outputs: map[string]any{"result": value}}
		body, err := result.Encode()
		if err != nil || len(body) > notify.MaxPayload || !utf8.Valid(body) {
			t.Fatalf("%d bytes: %v", len(body), err)
		}
		var said struct {
			Stdout string `json:"deploy_stdout"`
			Status int    `json:"deploy_status_code"`
		}
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatal(err)
		}
		if len(value) < notify.MaxPayload/8 && said.Status != status {
			t.Fatalf("status %d became %d", status, said.Status)
		}
		if strings.ContainsRune(said.Stdout, 0) {
			t.Fatal("a NUL, which PostgreSQL refuses")
		}
	})
}
