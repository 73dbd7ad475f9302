//go:build sources

// Package sources names the commands that this module builds, so that go mod tidy keeps them.
package sources

import _ "github.com/prometheus/prometheus/cmd/prometheus"
