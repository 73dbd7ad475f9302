package release

import (
	"errors"
	"strings"
)

// formRule holds a lock against its schema and against what lock.Validate knows beyond it.
func formRule() Rule {
	return Rule{
		Name: "form", About: "every field has its form, and every image is complete or says why it is not",
		Binding: true,
		find: func(s *Subject) []Finding {
			var all []Finding
			for _, problem := range parts(s.Lock.Validate()) {
				field, text, found := strings.Cut(problem.Error(), ": ")
				if !found {
					field, text = "lock", problem.Error()
				}
				all = append(all, Finding{Field: field, Problem: text, Remedy: "write the lock anew: slipway images lock"})
			}
			return all
		},
	}
}

// parts returns the errors that were joined, however they were wrapped.
func parts(err error) []error {
	for err != nil {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return joined.Unwrap()
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return []error{err}
		}
		err = inner
	}
	return nil
}
