package component

// cloudProvider are the images that connect a cluster to OpenStack. The cloud controller manager
// follows Kubernetes' minor; the others serve all of them.
func cloudProvider() []Recipe {
	return []Recipe{
		openstack("v1.36.0", "openstack-cloud-controller-manager", "1.36"),
		openstack("v1.36.0", "k8s-keystone-auth"),
		openstack("v1.36.0", "magnum-auto-healer"),
		cinder(),
		openstack("v1.35.0", "openstack-cloud-controller-manager", "1.35"),
		openstack("v1.34.1", "openstack-cloud-controller-manager", "1.34"),
	}
}

// openstack is one command of k8s.io/cloud-provider-openstack, stamped as upstream does.
func openstack(version, command string, kubernetes ...string) Recipe {
	const module = "k8s.io/cloud-provider-openstack"
	return Recipe{
		Image:    command,
		Version:  version,
		Source:   "cloud-provider-openstack/" + version,
		Module:   module,
		Programs: []Program{{module + "/cmd/" + command, "usr/bin/" + command}},
		Tags:     []string{"grpcnotrace"},
		Stamps: []string{
			"k8s.io/component-base/version.gitVersion=${version}",
			module + "/pkg/version.Version=${version}",
		},
		Kubernetes: kubernetes,
	}
}

// cinder makes file systems on volumes and mounts them, with the programs of its own image: the
// node's are not in a pod's reach.
func cinder() Recipe {
	return openstack("v1.36.0", "cinder-csi-plugin")
}
