package plan

import "fmt"

// FieldError says which field of a plan is wrong, with its value, and why.
type FieldError struct {
	Path   string // such as "units[2].exec.image"
	Value  string // the bad value, when it is short and says something
	Detail string
}

func (e *FieldError) Error() string {
	path := e.Path
	if path == "" {
		path = "document"
	}
	if e.Value == "" {
		return fmt.Sprintf("%s: %s", path, e.Detail)
	}
	return fmt.Sprintf("%s: %q: %s", path, e.Value, e.Detail)
}
