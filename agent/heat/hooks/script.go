package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/redact"
)

// keepText is how much of each stream of a script is kept; a signal holds no more.
const keepText = notify.MaxPayload

// maxOutput bounds the file of one output, in bytes; a longer one is read that far, which is too
// long for a signal and fails the deployment there.
const maxOutput = notify.MaxPayload + 1

// script runs the group script: the configuration is a program.
func (r *Runner) script(ctx context.Context, d metadata.Deployment, limit time.Duration) (notify.Result, error) {
	text, err := d.Script()
	if err != nil {
		return notify.Failure(StatusRefused, err.Error()), nil
	}
	env, err := d.Environment()
	if err != nil {
		return notify.Failure(StatusRefused, err.Error()), nil
	}
	program := filepath.Join(r.WorkDir, d.ID)
	outputs := filepath.Join(r.OutputsDir, d.ID)
	log, err := r.prepare(d, program, outputs, text)
	if err != nil {
		return notify.Result{}, err
	}
	defer func() { _ = log.Close() }()
	out, err := process{
		path: program, dir: r.WorkDir, limit: limit, grace: r.grace(), keep: keepText, log: log, spoke: r.Spoke,
		env: append(append(r.environ(), env...), "heat_outputs_path="+outputs),
	}.run(ctx)
	if err != nil {
		return notify.Result{}, err
	}
	out.stdout, out.stderr = redacted(d, out.stdout), redacted(d, out.stderr)
	result, failed := ended(out, limit, program)
	if !failed {
		result = notify.Result{Stdout: out.stdout, Stderr: out.stderr, Status: out.status}
	}
	result.Outputs, err = readOutputs(d, outputs)
	return result, err
}

// prepare makes the directories, the program and the log, and removes outputs of an earlier run.
func (r *Runner) prepare(d metadata.Deployment, program, outputs, text string) (*os.File, error) {
	for _, dir := range []string{r.WorkDir, r.OutputsDir, r.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the script's directories: %w", err)
		}
	}
	for _, output := range d.Outputs {
		path, ok := outputPath(outputs, output.Name)
		if !ok {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove an old output: %w", err)
		}
	}
	if err := durable.WriteFile(program, []byte(text), 0o700); err != nil {
		return nil, err
	}
	name := d.ID
	if metadata.ValidName(d.Name) {
		name += "-" + d.Name
	}
	log, err := os.OpenFile(filepath.Join(r.LogDir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the script's log: %w", err)
	}
	return log, nil
}

// outputPath is the file of an output; a name that leads elsewhere has none.
func outputPath(outputs, name string) (string, bool) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", false
	}
	return outputs + "." + name, true
}

func readOutputs(d metadata.Deployment, outputs string) (map[string]any, error) {
	read := map[string]any{}
	for _, output := range d.Outputs {
		path, ok := outputPath(outputs, output.Name)
		if !ok {
			continue
		}
		text, err := readOutput(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read output %s: %w", output.Name, err)
		}
		read[output.Name] = text
	}
	return read, nil
}

func readOutput(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, fs.ErrNotExist)
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxOutput))
	return string(raw), err
}

func (r *Runner) grace() time.Duration {
	if r.Grace != 0 {
		return r.Grace
	}
	return grace
}

// secretNames are parts of the names of inputs whose values are taken out of what a program has
// written: shells under set -x write them all.
var secretNames = [...]string{"password", "passwd", "secret", "token", "private", "key", "credential", "deploy_signal_id"}

// redacted takes secret inputs out of a text, and changes nothing else: templates use what
// programs write as data.
func redacted(d metadata.Deployment, text string) string {
	for _, input := range d.Inputs {
		name := strings.ToLower(input.Name)
		for _, part := range secretNames {
			value := input.Text()
			if strings.Contains(name, part) && len(value) >= minSecret {
				text = strings.ReplaceAll(text, value, redact.Mask)
				break
			}
		}
	}
	return text
}

// minSecret is the length from which a value is worth taking out; shorter ones are words.
const minSecret = 6
