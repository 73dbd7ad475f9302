package self

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway.build/slipway/agent/durable"
)

// How often a program may be started without doing an agent's work, before the OS layer's own
// agent stays in its place: one on trial, and one that has passed.
const (
	trialStarts  = 3
	provenStarts = 10
)

// Trial is what is known about the program that was last started in the agent's place.
type Trial struct {
	SHA256     string `json:"sha256"`
	Generation uint64 `json:"generation"`
	Starts     int    `json:"starts"`           // since it last did an agent's work
	Proven     bool   `json:"proven,omitempty"` // its generation was confirmed by it
	Failed     string `json:"failed,omitempty"` // why it is not started any more
}

func (t Trial) of(p *Program) bool { return t.SHA256 == p.SHA256 && t.Generation == p.Generation }

// spent says why the program is not to be started again; "" when it is.
func (t Trial) spent() string {
	limit, state := trialStarts, "without confirming its generation"
	if t.Proven {
		limit, state = provenStarts, "without getting to work, though it once had"
	}
	switch {
	case t.Failed != "":
		return t.Failed
	case t.Starts >= limit:
		return fmt.Sprintf("it was started %d times %s", t.Starts, state)
	}
	return ""
}

// record is the trial's file in the agent's state directory.
type record struct{ dir string }

func (r record) path() string { return filepath.Join(r.dir, "agent-trial.json") }

// read returns the trial; one that cannot be read counts as none, and is begun again.
func (r record) read() (Trial, error) {
	var t Trial
	raw, err := os.ReadFile(r.path())
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read the agent's trial: %w", err)
	}
	if json.Unmarshal(raw, &t) != nil {
		return Trial{}, nil
	}
	return t, nil
}

func (r record) write(t Trial) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(r.path(), raw, 0o600); err != nil {
		return fmt.Errorf("note the agent's trial: %w", err)
	}
	return nil
}
