//go:build sources

// Package sources names the commands that this module builds, so that go mod tidy keeps them.
package sources

import (
	_ "k8s.io/cloud-provider-openstack/cmd/cinder-csi-plugin"
	_ "k8s.io/cloud-provider-openstack/cmd/k8s-keystone-auth"
	_ "k8s.io/cloud-provider-openstack/cmd/magnum-auto-healer"
	_ "k8s.io/cloud-provider-openstack/cmd/openstack-cloud-controller-manager"
)
