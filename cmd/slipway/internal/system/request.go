package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// request is a create request that is kept as it is but for the counts.
type request struct {
	body           json.RawMessage
	name           string
	masters, nodes int
}

// readRequest reads a create request and sets the counts that are not negative.
func readRequest(file string, masters, nodes int) (*request, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the create request: %w", err)
	}
	fields := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if masters >= 0 {
		fields["master_count"] = masters
	}
	if nodes >= 0 {
		fields["node_count"] = nodes
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var known struct {
		Name    string `json:"name"`
		Masters int    `json:"master_count"`
		Nodes   int    `json:"node_count"`
	}
	known.Masters, known.Nodes = 1, 1 // Magnum's defaults
	if err := json.Unmarshal(body, &known); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if known.Name == "" {
		return nil, fmt.Errorf("%s: %w", file, errors.New("the request needs a name, or running this again would make another cluster each time"))
	}
	return &request{body: body, name: known.Name, masters: known.Masters, nodes: known.Nodes}, nil
}
