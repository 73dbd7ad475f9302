package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
)

// keepJSON is how much of a hook's standard output is kept: it is JSON, of which no part is any
// use.
const keepJSON = 8 << 20

// hook runs an executable that gets the deployment on its standard input and answers with a JSON
// object, the signal's data (heat-agents, 55-heat-config).
func (r *Runner) hook(ctx context.Context, d metadata.Deployment, path string, limit time.Duration) (notify.Result, error) {
	doc, err := d.Document()
	if err != nil {
		return notify.Failure(StatusRefused, err.Error()), nil
	}
	out, err := process{
		path: path, env: r.environ(), stdin: doc, limit: limit, grace: r.grace(), keep: keepJSON, spoke: r.Spoke,
	}.run(ctx)
	if err != nil {
		return notify.Result{}, err
	}
	if result, failed := ended(out, limit, path); failed {
		return result, nil
	}
	return answer(d, out), nil
}

// answer reads what a hook has said. If that is no JSON object, it is a text like a script's. A
// hook that fails and does not say so in its answer has failed nevertheless: by heat-config's
// rule it had succeeded.
func answer(d metadata.Deployment, out outcome) notify.Result {
	plain := notify.Result{Stdout: redacted(d, out.stdout), Stderr: redacted(d, out.stderr), Status: out.status}
	if out.stdout == "" || out.truncated {
		return plain
	}
	var said map[string]json.RawMessage
	if json.Unmarshal([]byte(out.stdout), &said) != nil || said == nil {
		return plain
	}
	result := notify.Result{Status: out.status, Outputs: map[string]any{}}
	for name, value := range said {
		switch name {
		case "deploy_stdout":
			result.Stdout = redacted(d, text(value))
		case "deploy_stderr":
			result.Stderr = redacted(d, text(value))
		case "deploy_status_code":
			if status, ok := code(value); ok {
				result.Status = status
			}
		default:
			// Go takes bytes that are no text for text, inside of strings only; Heat does not.
			result.Outputs[name] = json.RawMessage(bytes.ToValidUTF8(value, []byte("\uFFFD")))
		}
	}
	if _, ok := said["deploy_stderr"]; !ok && result.Status != 0 {
		result.Stderr = plain.Stderr
	}
	return result
}

// text is a JSON text's content, or any other value as it stands.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// code reads a status, a number or the text of one; another text than those is a failure.
func code(raw json.RawMessage) (int, bool) {
	var number json.Number
	if json.Unmarshal(raw, &number) == nil && number != "" {
		if n, err := number.Int64(); err == nil {
			return int(n), true
		}
		return 1, true
	}
	if s := text(raw); s != "" && s != "null" {
		return 1, true
	}
	return 0, false
}

// Command runs the command that the metadata names, by a shell, with the list of files to merge
// in OS_CONFIG_FILES, as os-collect-config runs its command.
func (r *Runner) Command(ctx context.Context, command string, files []string) (notify.Result, error) {
	limit := r.Timeout
	if limit == 0 {
		limit = DefaultTimeout
	}
	out, err := process{
		path: "/bin/sh", args: []string{"-c", command}, limit: limit, grace: r.grace(), keep: keepText,
		env: append(r.environ(), "OS_CONFIG_FILES="+strings.Join(files, ":")),
	}.run(ctx)
	if err != nil {
		return notify.Result{}, err
	}
	if result, failed := ended(out, limit, "/bin/sh"); failed {
		return result, nil
	}
	return notify.Result{Stdout: out.stdout, Stderr: out.stderr, Status: out.status}, nil
}
