package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"slipway.build/slipway/agent/supervision"
)

// Spec is the exec file of one unit. The agent writes it from the plan and the signed lock.
type Spec struct {
	Unit   string `json:"unit"`
	Image  string `json:"image"`
	Digest string `json:"digest"` // of the image's manifest
	// Binary is the absolute path on the node, Path the one inside the component's root; which
	// of them counts depends on where exec finds itself.
	Binary string             `json:"binary"`
	Path   string             `json:"path"`
	SHA256 string             `json:"sha256"` // hex
	Size   int64              `json:"size"`
	Args   []string           `json:"args,omitempty"`
	Env    []string           `json:"env,omitempty"`
	Tools  []Tool             `json:"tools,omitempty"`
	State  *supervision.State `json:"state,omitempty"`
	// Filled is set once the component was healthy with its state; from then on a missing
	// sentinel means that the data are gone.
	Filled bool               `json:"filled,omitempty"`
	Await  *supervision.Probe `json:"await,omitempty"`
	Ready  *supervision.Probe `json:"ready,omitempty"`
	Live   *supervision.Probe `json:"live,omitempty"`
}

// Tool is a further file that is verified before the start, by its absolute path on the node.
type Tool struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// ReadSpec reads an exec file.
func ReadSpec(path string) (*Spec, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	spec := new(Spec)
	if err := dec.Decode(spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if spec.SHA256 == "" || spec.Binary == "" || spec.Path == "" {
		return nil, fmt.Errorf("%s: names no binary", path)
	}
	return spec, nil
}
