package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"

	"slipway.build/slipway/agent/fault"
)

// MaxSize bounds a plan in bytes. The largest part is the objects of tasks; a megabyte holds
// every manifest that a cluster of ours starts with many times over.
const MaxSize = 8 << 20

// Parse reads a plan from JSON and validates it. Unknown, doubled and misspelt fields are
// refused. Errors are terminal and name the path of the field.
func Parse(data []byte) (*Plan, error) {
	if len(data) > MaxSize {
		return nil, fault.Terminalf("plan: %d bytes, more than the limit of %d", len(data), MaxSize)
	}
	if err := checkShape(data, reflect.TypeFor[Plan]()); err != nil {
		return nil, fault.Terminalf("plan: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // an integer of an object must not turn into a float
	dec.DisallowUnknownFields()
	p := new(Plan)
	if err := dec.Decode(p); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) {
			err = &FieldError{Path: typeErr.Field, Value: typeErr.Value, Detail: "must be of type " + typeErr.Type.String()}
		}
		return nil, fault.Terminalf("plan: %w", err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}
