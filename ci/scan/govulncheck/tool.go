//go:build tools

// Package tool names what this module builds, so that its go.mod stays as it is.
package tool

import _ "golang.org/x/vuln/cmd/govulncheck"
