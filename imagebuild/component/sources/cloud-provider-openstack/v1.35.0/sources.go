//go:build sources

// Package sources names the commands that this module builds, so that go mod tidy keeps them.
package sources

import _ "k8s.io/cloud-provider-openstack/cmd/openstack-cloud-controller-manager"
