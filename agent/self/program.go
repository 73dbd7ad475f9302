package self

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/plan"
)

// File is the name of the program's description in a generation's directory.
const File = "agent.json"

// Program is what runs as the agent while its generation is current.
type Program struct {
	Generation uint64        `json:"generation"`
	Image      string        `json:"image"`  // name in the plan and the lock
	Path       string        `json:"path"`   // relative to the generation's directory
	SHA256     string        `json:"sha256"` // hex
	Size       int64         `json:"size"`   // bytes
	Deadline   plan.Duration `json:"deadline"`
}

// ReadProgram returns the program that the generation in dir names; nil is the OS layer's own.
func ReadProgram(dir string) (*Program, error) {
	raw, err := os.ReadFile(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the generation's agent: %w", err)
	}
	p := new(Program)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("read the generation's agent: %s: %w", File, err)
	}
	if !filepath.IsLocal(p.Path) || len(p.SHA256) != 64 {
		return nil, fmt.Errorf("read the generation's agent: %s names no program", File)
	}
	return p, nil
}

// trialLimit is how long a program may take to prove itself.
func (p *Program) trialLimit() time.Duration { return time.Duration(p.Deadline) }
