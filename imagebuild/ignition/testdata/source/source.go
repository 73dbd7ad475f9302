//go:build tools

// Package source pins the Ignition that the tests build and run.
package source

import _ "github.com/coreos/ignition/v2/internal"
