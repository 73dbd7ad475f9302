package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Groups whose configuration is merged and not run (os-collect-config, merger.py), and the one
// that picks a configuration by action.
const (
	groupUngrouped   = "Heat::Ungrouped"
	groupApplyConfig = "os-apply-config"
	groupComponent   = "component"
)

// Bounds of the list of deployments; past them a list is refused.
const maxDeployments = 1000

// Deployment is one derived software configuration. Its ID is new for every action and update,
// so it says which work this is (heat, software_deployment.py:_create_derived_config).
type Deployment struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Group   string          `json:"group"`
	Config  json.RawMessage `json:"config"`
	Inputs  []Input         `json:"inputs"`
	Outputs []Output        `json:"outputs"`
	Options Options         `json:"options"`

	// Raw is the deployment as it was received.
	Raw json.RawMessage `json:"-"`
}

// Output is a declared output.
type Output struct {
	Name        string `json:"name"`
	ErrorOutput bool   `json:"error_output"`
}

// Options are the options of a deployment that mean something to the agent; a template may have
// others.
type Options struct {
	// Timeout ends the deployment after so many seconds. 0 is the agent's default.
	Timeout Seconds `json:"timeout"`
	// Idempotent says that the deployment may be run again when its end is not known.
	Idempotent bool `json:"idempotent"`
}

// Seconds is a number of seconds, as a JSON number or the text of one.
type Seconds time.Duration

// UnmarshalJSON takes 90, 1.5 and "90"; anything else counts as not given.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	var number json.Number
	if err := json.Unmarshal(bytes.Trim(raw, `"`), &number); err != nil {
		return nil // options belong to the template: what cannot be read is not ours
	}
	seconds, err := number.Float64()
	if err != nil || seconds <= 0 || seconds > (365*24*time.Hour).Seconds() {
		return nil
	}
	*s = Seconds(seconds * float64(time.Second))
	return nil
}

// UnmarshalJSON reads the options; a malformed one counts as not given.
func (o *Options) UnmarshalJSON(raw []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	_ = o.Timeout.UnmarshalJSON(fields["timeout"])
	o.Idempotent = json.Unmarshal(fields["idempotent"], &o.Idempotent) == nil && o.Idempotent
	return nil
}

// ParseDeployments reads a list of deployments. Each that cannot be used is an error beside the
// others, which stay in the given order. Null and nothing are the empty list.
func ParseDeployments(raw json.RawMessage) ([]Deployment, []error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, []error{fmt.Errorf("deployments: not a list: %w", err)}
	}
	if len(list) > maxDeployments {
		return nil, []error{fmt.Errorf("deployments: %d of them, more than the limit of %d", len(list), maxDeployments)}
	}
	var out []Deployment
	var errs []error
	seen := map[string]bool{}
	for i, item := range list {
		deployment, err := parseDeployment(item)
		if err == nil && seen[deployment.ID] {
			err = fmt.Errorf("id %s stands twice in the list", deployment.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("deployments[%d]: %w", i, err))
			continue
		}
		seen[deployment.ID] = true
		out = append(out, deployment)
	}
	return out, errs
}

func parseDeployment(raw json.RawMessage) (Deployment, error) {
	var d Deployment
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, err
	}
	if !ValidName(d.ID) {
		return d, fmt.Errorf("id %q cannot be the name of a file", d.ID)
	}
	names := map[string]bool{}
	for _, input := range d.Inputs {
		if names[input.Name] {
			return d, fmt.Errorf("input %s stands twice", input.Name)
		}
		names[input.Name] = true
	}
	d.Raw = bytes.Clone(raw)
	return d, nil
}

// Merged reports whether the deployment is configuration to merge and nothing to run.
func (d Deployment) Merged() bool {
	return d.Group == "" || d.Group == groupUngrouped || d.Group == groupApplyConfig
}

// Input returns the text of an input, "" when it is null or not there.
func (d Deployment) Input(name string) string {
	for _, input := range d.Inputs {
		if input.Name == name {
			return input.Text()
		}
	}
	return ""
}

// component is the configuration of the group of that name (heat, software_component.py).
type component struct {
	Configs []struct {
		Actions []string        `json:"actions"`
		Config  json.RawMessage `json:"config"`
		Tool    string          `json:"tool"`
	} `json:"configs"`
}

// ErrNoConfig says that a component has nothing to do for the action at hand.
var ErrNoConfig = errors.New("the component has no configuration for this action")

// Resolve returns the deployment that is to be run: itself, or what a component has for its
// deploy_action. ErrNoConfig when it has nothing.
func (d Deployment) Resolve() (Deployment, error) {
	if d.Group != groupComponent {
		return d, nil
	}
	var c component
	if err := json.Unmarshal(d.Config, &c); err != nil {
		return d, fmt.Errorf("the component's configuration: %w", err)
	}
	action := d.Input("deploy_action")
	for _, config := range c.Configs {
		for _, candidate := range config.Actions {
			if candidate == action {
				d.Group, d.Config = config.Tool, config.Config
				return d, nil
			}
		}
	}
	return d, fmt.Errorf("%w (deploy_action %q)", ErrNoConfig, action)
}

// Document returns the deployment as JSON for a hook and for the state directory: as it was
// received, with texts where a String was something else, and with what Resolve has put in.
func (d Deployment) Document() (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(d.Raw, &fields); err != nil {
		return nil, err
	}
	inputs, err := documentInputs(fields["inputs"])
	if err != nil {
		return nil, err
	}
	group, err := json.Marshal(d.Group)
	if err != nil {
		return nil, err
	}
	fields["inputs"], fields["group"], fields["config"] = inputs, group, d.Config
	if len(d.Config) == 0 {
		delete(fields, "config")
	}
	return json.Marshal(fields)
}

// Script returns a configuration that is a text.
func (d Deployment) Script() (string, error) {
	var text *string
	if len(d.Config) == 0 || json.Unmarshal(d.Config, &text) != nil || text == nil {
		return "", errors.New("its configuration is not a text")
	}
	return *text, nil
}
