package drive

import "errors"

// Wait waits until all jobs of a Queue have ended, and joins their errors.
func Wait(results <-chan error) error {
	var errs []error
	for err := range results {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
