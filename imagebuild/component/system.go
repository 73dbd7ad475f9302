package component

import (
	"context"

	"slipway.build/slipway/imagebuild/lock"
)

// System is what an image has beside its programs.
type System struct {
	// Why says in one line what the component needs it for.
	Why string
}

func (s *System) why() string {
	if s == nil {
		return ""
	}
	return s.Why
}

// system lists what the image has beside its programs, and the Debian packages it came from.
func (j *job) system(context.Context) ([]content, []lock.Package, error) {
	return nil, nil, nil
}
