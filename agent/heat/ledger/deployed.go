package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/durable"
)

// Directories of heat-config (heat-agents, 55-heat-config).
const (
	DeployedDir    = "/var/lib/heat-config/deployed"
	OldDeployedDir = "/var/run/heat-config/deployed"
)

// Deployed is the state directory of heat-config. A deployment whose file is there was run
// already, whoever did it.
type Deployed struct {
	Dir string
	Old string // where the state once lived; read only
}

// Mark writes that a deployment is being run, as heat-config does just before it.
func (d Deployed) Mark(id string, deployment json.RawMessage) error {
	return d.write(id+".json", deployment)
}

// Note writes the result, as heat-config does for debugging.
func (d Deployed) Note(id string, result json.RawMessage) error {
	return d.write(id+".notify.json", result)
}

func (d Deployed) write(name string, value json.RawMessage) error {
	var text bytes.Buffer
	if err := json.Indent(&text, value, "", "  "); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	return durable.WriteFile(filepath.Join(d.Dir, name), text.Bytes(), 0o600)
}

// Seen reports whether somebody has begun a deployment, and whether they came to its end.
func (d Deployed) Seen(id string) (begun, ended bool) {
	for _, dir := range []string{d.Dir, d.Old} {
		begun = begun || exists(filepath.Join(dir, id+".json"))
		ended = ended || exists(filepath.Join(dir, id+".notify.json"))
	}
	return begun, ended
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
