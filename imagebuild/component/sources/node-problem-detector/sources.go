//go:build sources

// Package sources names the commands that this module builds, so that go mod tidy keeps them.
package sources

import (
	_ "k8s.io/node-problem-detector/cmd/healthchecker"
	_ "k8s.io/node-problem-detector/cmd/nodeproblemdetector"
)
