package osimage

import (
	"encoding/json"
	"fmt"
)

// object is a JSON object of which only what is changed is looked into.
type object map[string]json.RawMessage

// edit changes a JSON object. Members come out sorted by name.
func edit(raw []byte, change func(object) error) ([]byte, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fmt.Errorf("it is null")
	}
	if err := change(o); err != nil {
		return nil, err
	}
	return json.Marshal(o)
}

func (o object) set(name string, value any) error {
	raw, err := json.Marshal(value)
	o[name] = raw
	return err
}

// within changes the object that is the member of that name.
func (o object) within(name string, change func(object) error) error {
	raw, err := edit(o[name], change)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	o[name] = raw
	return nil
}

// add puts a value at the end of the array that is the member of that name; none is an empty one.
func (o object) add(name string, value any) error {
	var list []json.RawMessage
	if o[name] != nil {
		if err := json.Unmarshal(o[name], &list); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return o.set(name, append(list, raw))
}

// renameStream overwrites the update stream among the strings that are the member of that name. One
// that is not there is not added.
func (o object) renameStream(name string) error {
	if o[name] == nil {
		return nil
	}
	var values map[string]string
	if err := json.Unmarshal(o[name], &values); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	changed := false
	for _, s := range streams {
		if _, there := values[s]; there {
			values[s], changed = Stream, true
		}
	}
	if !changed {
		return nil
	}
	return o.set(name, values)
}
