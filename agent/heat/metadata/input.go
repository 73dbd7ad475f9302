package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// typeString is the type of an input that is made a text whatever it is (heat-agents,
// 55-heat-config, LP 1333992).
const typeString = "String"

// Input is an input of a deployment. Values are secrets: they are never logged.
type Input struct {
	Name  string          `json:"name"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// Text returns the value as a script sees it in its environment. A text is itself; lists and
// objects are JSON in Python's spacing; null is empty. Numbers are their JSON text, and booleans
// true and false, or True and False in an input of type String, where scripts of old have seen
// Python's str(). (The hook of old broke on numbers and booleans of other types, and made None of
// a null String.)
func (i Input) Text() string {
	raw := strings.TrimSpace(string(i.Value))
	switch {
	case raw == "", raw == "null":
		return ""
	case raw[0] == '"':
		var text string
		if json.Unmarshal(i.Value, &text) != nil {
			return ""
		}
		return text
	case raw[0] == '{', raw[0] == '[':
		return pythonJSON(i.Value)
	case i.Type == typeString && raw == "true":
		return "True"
	case i.Type == typeString && raw == "false":
		return "False"
	default:
		return raw
	}
}

// Environment returns the inputs as name=value, in their order. An input that no process can be
// given is an error, which names it and not its value.
func (d Deployment) Environment() ([]string, error) {
	var out []string
	var errs []error
	for _, input := range d.Inputs {
		text := input.Text()
		switch {
		case input.Name == "" || strings.ContainsAny(input.Name, "=\x00"):
			errs = append(errs, fmt.Errorf("input %q: no name for an environment variable", input.Name))
		case strings.Contains(text, "\x00"):
			errs = append(errs, fmt.Errorf("input %s: a NUL byte cannot be in the environment", input.Name))
		default:
			out = append(out, input.Name+"="+text)
		}
	}
	return out, errors.Join(errs...)
}

// documentInputs returns inputs with the texts of those of type String.
func documentInputs(raw json.RawMessage) (json.RawMessage, error) {
	var inputs []map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &inputs); err != nil {
			return nil, err
		}
	}
	for _, fields := range inputs {
		var input Input
		_ = json.Unmarshal(fields["type"], &input.Type)
		input.Value = fields["value"]
		if input.Type != typeString {
			continue
		}
		text, err := json.Marshal(input.Text())
		if err != nil {
			return nil, err
		}
		fields["value"] = text
	}
	if inputs == nil {
		inputs = []map[string]json.RawMessage{}
	}
	return json.Marshal(inputs)
}
