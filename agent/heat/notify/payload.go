package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Keys of a signal that Heat knows besides the declared outputs (heat, rpc/api.py).
const (
	keyStdout = "deploy_stdout"
	keyStderr = "deploy_stderr"
	keyStatus = "deploy_status_code"
)

// MaxPayload bounds a signal in bytes. Heat refuses bodies over 1048576 (max_json_body_size);
// heat-config-notify stops at 950000, too.
const MaxPayload = 950000

// Result is how a deployment ended.
type Result struct {
	Stdout, Stderr string
	Status         int // 0 is success
	// Outputs are the declared outputs; a hook may say more, which Heat ignores.
	Outputs map[string]any
}

// Failure is a result of the agent's own: reason becomes the end of standard error.
func Failure(status int, reason string) Result {
	return Result{Status: status, Stderr: "slipway: " + reason + "\n"}
}

// Encode returns the body of the signal, of at most MaxPayload bytes. Of what is too long the
// beginnings of standard output and error are left out, at a character, with a note of how much.
// Outputs are data, of which no part is any use: when they do not fit, the signal says that the
// deployment failed, and why.
func (r Result) Encode() ([]byte, error) {
	body, err := r.fit()
	if err != nil || len(body) <= MaxPayload {
		return body, err
	}
	longest, size := "", 0
	for name, value := range r.Outputs {
		if raw, err := encode(value); err == nil && len(raw) > size {
			longest, size = name, len(raw)
		}
	}
	failed := Failure(statusTooLong, fmt.Sprintf("output %s has %d bytes, and Heat takes a signal of %d at most; the deployment itself ended with status %d",
		longest, size, MaxPayload, r.Status))
	failed.Stdout, failed.Stderr = r.Stdout, r.Stderr+failed.Stderr
	return failed.fit()
}

// statusTooLong is the status of a deployment whose outputs do not fit.
const statusTooLong = 126

// fit encodes the result and cuts its texts as far as that can help.
func (r Result) fit() ([]byte, error) {
	stdout, stderr := Clean(r.Stdout), Clean(r.Stderr)
	keepOut, keepErr := len(stdout), len(stderr)
	for {
		body, err := r.body(cut(stdout, keepOut), cut(stderr, keepErr))
		over := len(body) - MaxPayload
		if err != nil || over <= 0 || keepOut+keepErr == 0 {
			return body, err
		}
		// The longer one gives first. Escapes make a byte up to six: halving ends soon either way.
		longer := &keepOut
		if keepErr > keepOut {
			longer = &keepErr
		}
		*longer = min(max(*longer-over, *longer/2), *longer-1)
	}
}

func (r Result) body(stdout, stderr string) ([]byte, error) {
	all := map[string]any{}
	for name, value := range r.Outputs {
		if text, ok := value.(string); ok {
			value = Clean(text)
		}
		all[name] = value
	}
	all[keyStdout], all[keyStderr], all[keyStatus] = stdout, stderr, r.Status
	return encode(all)
}

// encode is JSON without the escapes that only matter inside of HTML.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode a signal: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// Clean makes a text one that Heat can store: valid UTF-8 without NUL, which PostgreSQL refuses.
func Clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// cut leaves the last keep bytes of a text, or somewhat less, and a note of what is missing.
func cut(text string, keep int) string {
	if keep >= len(text) {
		return text
	}
	start := len(text) - keep
	for start < len(text) && !utf8.RuneStart(text[start]) {
		start++
	}
	return fmt.Sprintf("[slipway: the first %d bytes are left out]\n%s", start, text[start:])
}
