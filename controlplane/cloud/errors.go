package cloud

import "errors"

// ErrNotFound is what Keypair and Flavor return for names that the cloud does not know.
var ErrNotFound = errors.New("not found")
